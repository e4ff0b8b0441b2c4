import { z } from 'zod';
import type { HookAnswer, HookInput } from '../../sdk/hooks.ts';
import type { PolicyContext } from '../../sdk/policy.ts';
import { amount } from './aios.ts';

/** How fast an autoscaler may act: AIOS's names, in seconds. */
export const scalingSettings = z.strictObject({
  /** How often it is asked. */
  intervalSeconds: amount.default(30),
  /** No more instances sooner than this after the last change. */
  scale_up_cooldown: amount.default(60),
  /** No fewer instances sooner than this after the last change. */
  scale_down_cooldown: amount.default(120),
});

/** How far a measured value may be from its target before anything happens. */
const tolerance = 0.1;

/**
 * Instances in proportion to a measured value over its target, as Kubernetes's autoscaler counts them: nothing within a
 * tenth of the target, at most twice as many at once, and one step down at a time. The last change is kept in the state.
 *
 * @param measured - per instance; nothing where it is not known: then everything stays
 * @param what - for the reason
 */
export function scaleBy(
  { block }: HookInput<'autoscaler'>,
  context: PolicyContext<unknown, z.output<typeof scalingSettings>>,
  measured: number | undefined,
  target: number,
  what: string,
): HookAnswer<'autoscaler'> {
  const current = block.instances.length;
  const { scale_up_cooldown: upSeconds, scale_down_cooldown: downSeconds } = context.settings;
  if (measured === undefined || current === 0 || target <= 0) {
    return { hold: true, reason: `${what} is not known` };
  }
  const ratio = measured / target;
  const seen = `${what} ${measured.toFixed(2)}, target ${target}`;
  if (Math.abs(ratio - 1) <= tolerance) return { hold: true, reason: seen };
  const wanted =
    ratio > 1 ? Math.min(Math.ceil(current * ratio), current * 2) : Math.ceil(current * ratio);
  const next = Math.max(
    block.minInstances,
    Math.min(block.maxInstances, ratio > 1 ? wanted : Math.max(wanted, current - 1)),
  );
  if (next === current) return { hold: true, reason: seen };
  const changedAtMs = Number(context.state.changedAtMs ?? Number.NEGATIVE_INFINITY);
  const cooldownMs = 1000 * (next > current ? upSeconds : downSeconds);
  const leftMs = changedAtMs + cooldownMs - context.now;
  if (leftMs > 0)
    return { hold: true, reason: `${seen}; cooling down ${Math.ceil(leftMs / 1000)} s` };
  context.state = { changedAtMs: context.now };
  return { instances: next, reason: seen };
}
