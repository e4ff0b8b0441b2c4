import { AiosError } from '../../sdk/errors.ts';
import { rebuild, recordingOf } from '../policy/index.ts';
import type { Store } from '../store/index.ts';
import { DecisionIndex, type Entry, type WholeDecision } from './decision-index.ts';
import type { DecisionLog, NewDecision, Retention } from './decision-log.ts';
import { DecisionWriter, decisionKey, partKey } from './decision-writer.ts';
import { complete, fromStored, type StoredDecision, summaryOf } from './stored-decision.ts';

export interface DecisionLogOptions {
  readonly store: Store;
  readonly retention?: Retention;
  /** How long decisions wait for each other at least; up to 25 ms where writing takes long. @default 5 */
  readonly writeDelayMs?: number;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  readonly log?: (line: string) => void;
}

const all = Number.POSITIVE_INFINITY;
/** `decision-` and four digits of the id, as people type them. */
const shortestPrefix = 13;

function nothingKept(what: string): AiosError {
  return new AiosError(
    'NOT_FOUND',
    `${what} was recorded without its input, and cannot be made again.`,
  );
}

/** Opens what was decided before. */
export async function openDecisionLog(options: DecisionLogOptions): Promise<DecisionLog> {
  const { store, writeDelayMs = 5, clock = Date.now, log = () => undefined } = options;
  const index = new DecisionIndex(options.retention ?? {});
  const writer = new DecisionWriter({ store, index, writeDelayMs, clock, log });
  let closed = false;
  await writer.restore();

  function accept(decision: NewDecision): WholeDecision {
    const whole = complete(decision, clock());
    for (const evaluation of whole.evaluations) {
      const given = recordingOf(evaluation);
      if (given) given.decision.id = whole.id;
    }
    return whole;
  }

  async function read(tenant: string, id: string): Promise<StoredDecision> {
    await writer.flush();
    const document = await store.get<StoredDecision>(decisionKey({ tenant, id }));
    if (document) return document.value;
    const matches = id.length >= shortestPrefix ? index.beginning(tenant, id) : [];
    const [only] = matches;
    if (matches.length > 1) {
      throw new AiosError('REQUEST_INVALID', `'${id}' may be ${matches.join(', ')}. Write more.`);
    }
    if (only !== undefined) return read(tenant, only);
    throw new AiosError(
      'NOT_FOUND',
      `decision '${id}' is not kept (any more). List those that are with: aios get decisions`,
    );
  }

  async function readAll(entries: readonly Entry[]): Promise<readonly WholeDecision[]> {
    await writer.flush();
    const found = await Promise.all(
      entries.map((entry) => store.get<StoredDecision>(decisionKey(entry))),
    );
    return found.flatMap((document) => (document ? [fromStored(document.value)] : []));
  }

  const restored = (tenant: string, text: string, digest?: string): Promise<unknown> =>
    rebuild(text, async (key) => (await store.get<string>(partKey(tenant, key)))?.value, digest);

  return {
    record(decision) {
      const whole = accept(decision);
      if (!closed) writer.add(whole);
      return whole;
    },
    async recordNow(decision, operations = []) {
      const whole = accept(decision);
      await writer.addNow(whole, operations);
      return whole;
    },
    placed: (tenant, instanceId) => index.placed(tenant, instanceId),
    of: (tenant, subject, { kind, limit = all } = {}) =>
      readAll(index.find(tenant, { subject, kind, limit })),
    ofBlock: (tenant, blockId) =>
      readAll(index.find(tenant, { subject: `block/${blockId}`, limit: all })),
    get: async (tenant, id) => fromStored(await read(tenant, id)),
    list: async (tenant, filter = {}) => (await readAll(index.find(tenant, filter))).map(summaryOf),
    async question(tenant, id, at) {
      const { evaluations, recorded } = await read(tenant, id);
      const evaluation = evaluations[at];
      if (!evaluation) {
        throw new AiosError(
          'NOT_FOUND',
          `decision '${id}' has ${evaluations.length} evaluations, counted from 0; there is no ${at}.`,
        );
      }
      const kept = recorded?.[at];
      if (!kept) throw nothingKept(`evaluation ${at} of decision '${id}'`);
      const input = await restored(tenant, kept.input, evaluation.inputDigest);
      const state = kept.state === undefined ? {} : await restored(tenant, kept.state);
      return { input, state: state as Readonly<Record<string, unknown>> };
    },
    async context(tenant, id) {
      const { context } = await read(tenant, id);
      if (context === undefined) throw nothingKept(`decision '${id}'`);
      return restored(tenant, context);
    },
    flush: () => writer.flush(),
    async close() {
      closed = true;
      await writer.close();
    },
  };
}
