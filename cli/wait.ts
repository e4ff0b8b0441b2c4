import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockStatus, VdagStatus } from '../sdk/client/api.ts';
import { AiosError } from '../sdk/errors.ts';
import { formatDuration } from '../sdk/units.ts';
import type { Context } from './context.ts';

const pollMs = 200;

interface Wait<T> {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly look: () => Promise<T>;
  readonly isReady: (seen: T) => boolean;
  /** What it waits for, for people. */
  readonly explain: (seen: T) => Promise<string> | string;
}

/** @throws {AiosError} DEADLINE_EXCEEDED - with what it still waited for */
async function waitFor<T>(context: Context, wait: Wait<T>): Promise<T> {
  const deadline = Date.now() + wait.timeoutMs;
  let reason = '';
  for (;;) {
    context.signal.throwIfAborted();
    const seen = await wait.look();
    if (wait.isReady(seen)) {
      context.progress.done();
      return seen;
    }
    reason = await wait.explain(seen);
    context.progress.update(`waiting for ${wait.subject}: ${reason}`);
    if (Date.now() >= deadline) {
      throw new AiosError(
        'DEADLINE_EXCEEDED',
        `${wait.subject} is not ready after ${formatDuration(wait.timeoutMs)}: ${reason}`,
      );
    }
    await sleep(pollMs, undefined, { signal: context.signal }).catch(() => {});
  }
}

const describeBlock = ({ spec, state, reason, instances }: BlockStatus): string => {
  const fault = reason ?? instances.find(({ lastError }) => lastError)?.lastError;
  return `${spec.id} is ${state}${fault ? ` (${fault})` : ''}`;
};

/** Waits until the block has all the instances it declares. */
export function waitForBlock(
  context: Context,
  id: string,
  timeoutMs: number,
): Promise<BlockStatus> {
  return waitFor(context, {
    subject: `block '${id}'`,
    timeoutMs,
    look: () => context.client.get('block', id),
    isReady: ({ state }) => state === 'running',
    explain: describeBlock,
  });
}

/** Waits until every block of the vDAG has a ready instance. */
export function waitForVdag(context: Context, uri: string, timeoutMs: number): Promise<VdagStatus> {
  return waitFor(context, {
    subject: `vDAG '${uri}'`,
    timeoutMs,
    look: () => context.client.get('vdag', uri),
    isReady: ({ ready }) => ready,
    async explain({ waitingFor }) {
      const waiting = new Set(waitingFor);
      const blocks = await context.client.list('block');
      return blocks
        .filter(({ spec }) => waiting.has(spec.id))
        .map(describeBlock)
        .join('; ');
    },
  });
}
