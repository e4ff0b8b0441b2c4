/** Policies tried on networks nobody has: the real placement, on a clock of its own. */
import { assertPolicies, storeOf } from './policies.ts';
import type { SimulationReport, VariantReport } from './report.ts';
import { type RunOptions, VariantRun } from './run-variant.ts';
import { clustersOf, type Scenario } from './scenario.ts';

export { plotReport } from './plot.ts';
export type { TriedPolicy } from './policies.ts';
export type { Sample, SimulationReport, VariantReport } from './report.ts';
export { readScenario, type Scenario } from './scenario.ts';

/**
 * Runs every variant of a scenario from the same seed: the same arrivals, durations and failures, with other policies.
 *
 * @throws {SpecError} SPEC_INVALID - a variant names a policy that is not there, or configures it wrongly
 * @throws the signal's reason when aborted
 */
export async function runScenario(
  scenario: Scenario,
  options: RunOptions & { readonly onVariant?: (name: string) => void },
): Promise<SimulationReport> {
  await assertPolicies(scenario, options);
  const variants: VariantReport[] = [];
  for (const variant of scenario.variants) {
    options.onVariant?.(variant.name);
    variants.push(await new VariantRun(scenario, variant, options, await storeOf(options)).run());
  }
  const nodes = clustersOf(scenario).flatMap((cluster) => cluster.nodes);
  return {
    ...{ seed: scenario.seed, minutes: scenario.minutes, nodes: nodes.length, variants },
    gpus: nodes.reduce((sum, { gpus }) => sum + gpus.length, 0),
  };
}
