import type { AnswerTimings, ChatEvent, HopTiming } from '../sdk/client/index.ts';
import type { Context } from './context.ts';

/** Where the time of one answer went. */
export interface AnswerTiming extends AnswerTimings {
  readonly hops: readonly HopTiming[];
}

/** @returns nothing where the server does not say */
export function timingOf(
  end: Extract<ChatEvent, { readonly type: 'end' }>,
): AnswerTiming | undefined {
  const { timeToFirstTokenMs, totalMs, waitedMs, tokenMs, partsMs, hops } = end;
  if (timeToFirstTokenMs === undefined || totalMs === undefined) return undefined;
  return {
    ...{ timeToFirstTokenMs, totalMs, waitedMs: waitedMs ?? 0, hops },
    ...(tokenMs ? { tokenMs } : {}),
    ...(partsMs ? { partsMs } : {}),
  };
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** Two lines, then one row a shard. */
export function renderTiming(timing: AnswerTiming, { table }: Pick<Context, 'table'>): string {
  const { timeToFirstTokenMs, totalMs, waitedMs, tokenMs, partsMs, hops } = timing;
  const waited = waitedMs >= 1 ? ` (${ms(waitedMs)} of it waiting for a place)` : '';
  const lines = [`first token after ${ms(timeToFirstTokenMs)}${waited}, all after ${ms(totalMs)}`];
  if (tokenMs && partsMs) {
    const { computeMs, waitMs, wireMs, driverMs } = partsMs;
    lines.push(
      `a token ${ms(tokenMs.mean)} (median ${ms(tokenMs.p50)}, 99 % within ${ms(tokenMs.p99)}): ` +
        `computing ${ms(computeMs)}, waiting ${ms(waitMs)}, on the wire ${ms(wireMs)}, driver ${ms(driverMs)}`,
    );
  }
  const rows = hops.map(({ instanceId, computeMs, waitMs }) => [
    instanceId,
    ms(computeMs),
    ms(waitMs),
  ]);
  if (rows.length > 0) lines.push(table(['shard', '>computed', '>waited'], rows));
  return lines.join('\n').replace(/^/gm, '  ');
}
