import { z } from 'zod';
import type { HookAnswer, HookInput, PolicyState } from '../../sdk/hooks.ts';
import { amount } from './aios.ts';

export const stabilityParameters = z.strictObject({
  /** Checks in a row that an instance may be unhealthy before something is done. */
  unhealthy_threshold: amount.pipe(z.number().int().positive()).default(3),
});
export const stabilitySettings = z.strictObject({
  /** How often it is asked. */
  check_interval_sec: amount.default(30),
});

type Counts = Readonly<Record<string, number>>;

/** Counts unhealthy checks in a row of each instance that is still there. */
export function countUnhealthy(
  { instances }: HookInput<'stabilityChecker'>,
  { counts }: PolicyState,
): Counts {
  const before = (counts ?? {}) as Counts;
  return Object.fromEntries(
    instances.flatMap(({ id, healthy }) => (healthy ? [] : [[id, (before[id] ?? 0) + 1]])),
  );
}

/** Does one thing to each instance that was unhealthy so often in a row. */
export function actOn(
  counts: Counts,
  threshold: number,
  action: (instanceId: string, count: number) => 'restart' | 'reassign',
): HookAnswer<'stabilityChecker'> {
  return {
    actions: Object.entries(counts).flatMap(([instanceId, count]) =>
      count >= threshold
        ? [
            {
              type: action(instanceId, count),
              instanceId,
              reason: `unhealthy ${count} checks in a row`,
            },
          ]
        : [],
    ),
  };
}
