import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockStatus, VdagStatus } from '../sdk/client/api.ts';
import { AiosError } from '../sdk/errors.ts';
import { formatDuration } from '../sdk/units.ts';
import { BlockFaults } from './block-faults.ts';
import type { Context } from './context.ts';

const pollMs = 200;

interface Wait<T> {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly look: () => Promise<T>;
  readonly isReady: (seen: T) => boolean;
  readonly explain: (seen: T) => Promise<Explanation> | Explanation;
}

/** What is waited for, for people. */
interface Explanation {
  readonly state: string;
  /** What stands in the way, if anything does. */
  readonly faults: string;
  /** What of it was not said yet. */
  readonly news: string;
}

/**
 * Says what stands in the way as soon as it is known, once.
 *
 * @throws {AiosError} INSTANCE_START_FAILED - instances of a block failed the same way, again and again
 * @throws {AiosError} DEADLINE_EXCEEDED - with what it still waited for
 */
async function waitFor<T>(context: Context, wait: Wait<T>): Promise<T> {
  const deadline = Date.now() + wait.timeoutMs;
  for (;;) {
    context.signal.throwIfAborted();
    const seen = await wait.look();
    if (wait.isReady(seen)) {
      context.progress.done();
      return seen;
    }
    const { state, faults, news } = await wait.explain(seen);
    if (news !== '') context.note(context.style.warn(news));
    context.progress.update(`waiting for ${wait.subject}: ${state}`);
    if (Date.now() >= deadline) {
      throw new AiosError(
        'DEADLINE_EXCEEDED',
        `${wait.subject} is not ready after ${formatDuration(wait.timeoutMs)}: ${faults || state}`,
      );
    }
    await sleep(pollMs, undefined, { signal: context.signal }).catch(() => {});
  }
}

function explainBlocks(said: BlockFaults, blocks: readonly BlockStatus[]): Explanation {
  const faults = blocks.flatMap((block) => said.look(block) ?? []);
  const linesOf = (those: typeof faults) => those.map(({ line }) => line).join('\n');
  return {
    state: blocks.map(({ spec, state }) => `${spec.id} is ${state}`).join(', '),
    faults: linesOf(faults),
    news: linesOf(faults.filter(({ isNew }) => isNew)),
  };
}

/** Waits until the block has all the instances it declares. */
export function waitForBlock(
  context: Context,
  id: string,
  timeoutMs: number,
): Promise<BlockStatus> {
  const said = new BlockFaults();
  return waitFor(context, {
    subject: `block '${id}'`,
    timeoutMs,
    look: () => context.client.get('block', id),
    isReady: ({ state }) => state === 'running',
    explain: (block) => explainBlocks(said, [block]),
  });
}

/** Waits until every block of the vDAG has a ready instance. */
export function waitForVdag(context: Context, uri: string, timeoutMs: number): Promise<VdagStatus> {
  const said = new BlockFaults();
  return waitFor(context, {
    subject: `vDAG '${uri}'`,
    timeoutMs,
    look: () => context.client.get('vdag', uri),
    isReady: ({ ready }) => ready,
    async explain({ waitingFor }) {
      const waiting = new Set(waitingFor);
      const blocks = await context.client.list('block');
      return explainBlocks(
        said,
        blocks.filter(({ spec }) => waiting.has(spec.id)),
      );
    },
  });
}
