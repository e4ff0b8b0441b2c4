import { z } from 'zod';
import { parseTraceparent } from './trace-context.ts';
import type { Tracer } from './tracer.ts';

/** An instance says what it likes: nothing of it is taken as it comes. */
const amount = z.number().nonnegative().finite();
const shardSpan = z.object({
  traceparent: z.string(),
  startedAtMs: amount,
  endedAtMs: amount,
  steps: amount,
  rows: amount,
  computeMs: amount,
  waitMs: amount,
  error: z.string().max(64).optional(),
});
const maxSpans = 256;

/** Takes over the spans of sessions that an instance reports; those that make no sense are left out. */
export function recordShardSpans(
  tracer: Tracer,
  instanceId: string,
  spans: readonly unknown[],
): void {
  for (const reported of spans.slice(0, maxSpans)) {
    const read = shardSpan.safeParse(reported);
    const parent = read.success ? parseTraceparent(read.data.traceparent) : undefined;
    if (!read.success || !parent) continue;
    const { startedAtMs, endedAtMs, steps, rows, computeMs, waitMs, error } = read.data;
    tracer.record({
      ...{ name: 'shard', kind: 'server', parent, instanceId, startedAtMs, endedAtMs, error },
      attributes: {
        ...{ 'aios.instance': instanceId, 'aios.steps': steps, 'aios.rows': rows },
        ...{ 'aios.compute_ms': computeMs, 'aios.wait_ms': waitMs },
      },
    });
  }
}
