import { z } from 'zod';
import type { HookAnswer, HookInput } from '../../sdk/hooks.ts';
import type { PolicyContext } from '../../sdk/policy.ts';
import { amount } from './aios.ts';

export const stabilityParameters = z.strictObject({
  /** Checks in a row that an instance may be unhealthy before something is done, and before it is done again. */
  unhealthy_threshold: amount.pipe(z.number().int().positive()).default(3),
});
export const stabilitySettings = z.strictObject({
  /** Seconds between two checks. */
  check_interval_sec: amount.default(30),
});

type Watched = HookInput<'stabilityChecker'>['instances'][number];
type Context = PolicyContext<z.output<typeof stabilityParameters>, unknown>;

/**
 * Counts each instance's unhealthy checks in a row, and does one thing to those that reach the threshold. Then it waits as
 * long again: what was restarted a moment ago has not had its chance yet.
 *
 * @param again - whether it was done before and did not help
 */
export function afterThreshold(
  { instances }: HookInput<'stabilityChecker'>,
  context: Context,
  action: (again: boolean) => 'restart' | 'reassign',
): HookAnswer<'stabilityChecker'> {
  const { unhealthy_threshold: threshold } = context.parameters;
  const before = new Map(Object.entries(context.state.counts ?? {}));
  const counts = new Map<string, number>();
  const actions: HookAnswer<'stabilityChecker'>['actions'] = [];
  // A restart brings an instance of another name, which knows how often its place was filled again.
  const again = ({ restarts }: Watched, count: number): boolean =>
    restarts % 2 === 1 || count >= 2 * threshold;
  for (const instance of instances) {
    const { id: instanceId, healthy } = instance;
    if (healthy) continue;
    const count = Number(before.get(instanceId) ?? 0) + 1;
    counts.set(instanceId, count);
    if (count % threshold !== 0) continue;
    const reason = `unhealthy ${count} checks in a row`;
    actions.push({ type: action(again(instance, count)), instanceId, reason });
  }
  context.state = { counts: Object.fromEntries(counts) };
  return { actions };
}
