import type { HookName } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';

type Policies = Readonly<Record<string, PolicyReference>>;

/** Which policy somebody chose at a hook, and how often it is to be asked. */
export interface Chosen {
  /** At the use site; absent where a default was chosen. */
  readonly reference?: PolicyReference;
  readonly everyMs: number;
}

const names: Readonly<Partial<Record<HookName, readonly string[]>>> = {
  autoscaler: ['intervalSeconds'],
  stabilityChecker: ['check_interval_sec', 'health_check_interval'],
};
const defaultSeconds = 30;
/** A policy that asks for less would take the machine for itself. */
const shortestMs = 1000;

/**
 * @param levels - policies by hook: the use site's, then its defaults, the nearest first
 * @returns nothing where nobody chose one: then nobody is asked
 */
export function chosen(
  hook: HookName,
  ...levels: readonly (Policies | undefined)[]
): Chosen | undefined {
  const references = levels.map((policies) =>
    policies && Object.hasOwn(policies, hook) ? policies[hook] : undefined,
  );
  const given = references.filter((reference) => reference !== undefined);
  if (given.length === 0) return undefined;
  const settings: Readonly<Record<string, unknown>> = Object.assign(
    {},
    ...given.map((reference) => reference.settings).reverse(),
  );
  const seconds = (names[hook] ?? []).map((name) => Number(settings[name] ?? Number.NaN));
  const asked = seconds.find((value) => Number.isFinite(value) && value > 0) ?? defaultSeconds;
  const [reference] = references;
  return {
    ...(reference ? { reference } : {}),
    everyMs: Math.max(shortestMs, asked * 1000),
  };
}
