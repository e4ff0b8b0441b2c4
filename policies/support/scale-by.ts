import { z } from 'zod';
import type { HookAnswer, HookInput } from '../../sdk/hooks.ts';
import { isStale } from '../../sdk/metrics.ts';
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

/** One value that is to be near another. */
export interface Aim {
  /** Names it in the reason. */
  readonly what: string;
  /** Per instance; absent where it is not known: then everything stays. */
  readonly measured: number | undefined;
  /** Above 0. */
  readonly target: number;
  /** Whether it is known too while no instance runs. Others keep one instance: at none they would stay for ever. */
  readonly wakes?: boolean;
}

/** Instances that would bring the value to its target: at most twice as many, one less, or as many as now. */
function wantedBy({ measured = 0, target, wakes }: Aim, current: number): number {
  if (current === 0) return measured > 0 ? 1 : 0;
  const ratio = measured / target;
  if (Math.abs(ratio - 1) <= tolerance) return current;
  // Rounded up both ways: what one step adds the next never takes away again while the load stays.
  // A product a hair above a whole number is that number.
  const wanted = Math.ceil(current * ratio * (1 - 1e-9));
  return ratio > 1 ? Math.min(wanted, 2 * current) : Math.max(wanted, current - 1, wakes ? 0 : 1);
}

/**
 * Instances in proportion to a measured value over its target, as Kubernetes's autoscaler counts them: nothing within a
 * tenth of the target, at most twice as many at once, and one step down at a time. The last change is kept in the state.
 */
export function scaleBy(
  { block, metrics }: HookInput<'autoscaler'>,
  context: PolicyContext<unknown, z.output<typeof scalingSettings>>,
  aim: Aim,
): HookAnswer<'autoscaler'> {
  const { measured, target, what } = aim;
  const current = block.instances.length;
  if (current === 0 && !aim.wakes) return { hold: true, reason: 'no instance runs' };
  if (measured === undefined || !Number.isFinite(measured)) {
    return { hold: true, reason: `${what} is not known` };
  }
  if (isStale(metrics, context.now)) return { hold: true, reason: 'the measurements are too old' };
  const seen = `${what} ${measured.toFixed(2)}, target ${target}`;
  const wanted = wantedBy(aim, current);
  const next = Math.max(block.minInstances, Math.min(block.maxInstances, wanted));
  if (next === current) return { hold: true, reason: seen };
  const { scale_up_cooldown: upSeconds, scale_down_cooldown: downSeconds } = context.settings;
  const changedAtMs = Number(context.state.changedAtMs ?? Number.NEGATIVE_INFINITY);
  const leftMs = changedAtMs + 1000 * (next > current ? upSeconds : downSeconds) - context.now;
  if (leftMs > 0) {
    return { hold: true, reason: `${seen}; cooling down ${Math.ceil(leftMs / 1000)} s` };
  }
  context.state = { changedAtMs: context.now };
  return { instances: next, reason: seen };
}
