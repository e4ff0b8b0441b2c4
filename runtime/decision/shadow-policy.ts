import type { Difference, ShadowExample, ShadowReport } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { type Observed, type PolicyHost, recordedOutput, recordingOf } from '../policy/index.ts';
import { decisive, differences, sameJson } from './compare.ts';

/** As the store has it. */
export type ShadowDocument = Omit<ShadowReport, 'hook' | 'policyUri'> & {
  /** As it was given. */
  readonly reference: Partial<PolicyReference>;
  readonly policyUri: string;
};

/** Questions that wait; more are dropped and counted. */
const maxWaiting = 100;
const maxExamples = 50;
/** Use sites of which it keeps a state. */
const maxStates = 1000;

type Counts = Pick<ShadowReport, 'evaluations' | 'agreed' | 'differed' | 'failed' | 'dropped'>;

interface Example extends Omit<ShadowExample, 'decisionId'> {
  /** Written into when the live evaluation becomes part of a decision. */
  readonly decision: { readonly id?: string };
}

const noCounts: Counts = { evaluations: 0, agreed: 0, differed: 0, failed: 0, dropped: 0 };

function exampleOf({ decision, ...example }: Example): ShadowExample {
  return { ...example, ...(decision.id === undefined ? {} : { decisionId: decision.id }) };
}

/** One policy that is asked what the live one was asked: after it, one question at a time, with a state of its own. */
export class ShadowPolicy {
  readonly hook: string;
  readonly #reference: Partial<PolicyReference>;
  readonly #uri: string;
  readonly #sinceMs: number;
  readonly #replay: PolicyHost['replay'];
  readonly #counts: { -readonly [K in keyof Counts]: number };
  #examples: Example[];
  readonly #states = new Map<string, PolicyState>();
  readonly #waiting: Observed[] = [];
  #running: Promise<void> | undefined;
  /** Something changed since it was last written down. */
  isDirty = false;

  constructor(hook: string, stored: ShadowDocument, replay: PolicyHost['replay']) {
    const { reference, policyUri, sinceMs, evaluations, agreed, differed, failed, dropped } =
      stored;
    this.hook = hook;
    this.#reference = reference;
    this.#uri = policyUri;
    this.#sinceMs = sinceMs;
    this.#replay = replay;
    this.#counts = { evaluations, agreed, differed, failed, dropped };
    this.#examples = stored.examples.map(({ decisionId, ...example }) => ({
      ...example,
      decision: decisionId === undefined ? {} : { id: decisionId },
    }));
  }

  static document(policyUri: string, reference: Partial<PolicyReference>, nowMs: number) {
    const { parameters = {}, settings = {} } = reference;
    return {
      reference,
      policyUri,
      parameters,
      settings,
      sinceMs: nowMs,
      ...noCounts,
      examples: [],
    };
  }

  /** Takes a question for later, or drops it. */
  hear(observed: Observed): void {
    this.isDirty = true;
    if (this.#waiting.length >= maxWaiting) this.#counts.dropped += 1;
    else this.#waiting.push(observed);
    this.#running ??= this.#run();
  }

  /** Waits until every question that it took is answered. */
  async idle(): Promise<void> {
    await this.#running;
  }

  document(): ShadowDocument {
    const { hook: _hook, ...report } = this.report();
    return { ...report, reference: this.#reference };
  }

  report(): ShadowReport {
    const { parameters = {}, settings = {} } = this.#reference;
    return {
      ...{ hook: this.hook, policyUri: this.#uri, parameters, settings, sinceMs: this.#sinceMs },
      ...this.#counts,
      examples: this.#examples.map(exampleOf),
    };
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Whoever waits for the thread goes first.
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#waiting.shift();
      if (next) await this.#ask(next);
    }
    this.#running = undefined;
  }

  async #ask({ tenant, evaluation, useSite }: Observed): Promise<void> {
    const given = recordingOf(evaluation);
    // Nobody asked the live policy, so there is nothing to compare.
    if (!given || evaluation.error?.code === 'BUSY') return;
    const { action, nowMs: atMs, policyUri: livePolicyUri } = evaluation;
    const about = { atMs, useSite, action, livePolicyUri, decision: given.decision };
    this.#counts.evaluations += 1;
    try {
      const state = this.#states.get(useSite) ?? {};
      const { input } = given;
      const answer = await this.#replay({
        tenant,
        evaluation,
        input,
        state,
        with: this.#reference,
      });
      this.#keepState(useSite, answer.state);
      const [live, own] = [evaluation.output, recordedOutput(answer.output)].map(decisive);
      const found: readonly Difference[] = sameJson(live, own) ? [] : differences(live, own);
      if (answer.error) {
        this.#counts.failed += 1;
        this.#keep({ ...about, differences: found, error: answer.error });
      } else if (found.length > 0) {
        this.#counts.differed += 1;
        this.#keep({ ...about, differences: found });
      } else {
        this.#counts.agreed += 1;
      }
    } catch (fault) {
      const { code, message } = AiosError.from(fault);
      this.#counts.failed += 1;
      this.#keep({ ...about, differences: [], error: { code, message } });
    }
  }

  #keep(example: Example): void {
    this.#examples = [example, ...this.#examples].slice(0, maxExamples);
  }

  #keepState(useSite: string, state: PolicyState): void {
    this.#states.delete(useSite);
    this.#states.set(useSite, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > maxStates && oldest !== undefined) this.#states.delete(oldest);
  }
}
