import { type Problem, SpecError } from '../../sdk/errors.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import { createPolicyHost, type PolicyHost, type PolicyHostOptions } from '../policy/index.ts';
import { createMemoryStore, type Store } from '../store/index.ts';
import type { Scenario } from './scenario.ts';

const tenant = 'default';

/** A policy that nobody published, to be tried in the sandbox it would run in. */
export interface TriedPolicy {
  readonly spec: PolicySpec;
  /** The bundle's text. */
  readonly source: string;
}

export interface Policies {
  readonly policies: readonly AnyPolicy[];
  readonly tried?: readonly TriedPolicy[];
}

/** A store that holds the policies that are tried, and nothing else. */
export async function storeOf({ tried = [] }: Policies): Promise<Store> {
  const store = createMemoryStore();
  await store.commit(
    tried.map(({ spec }) => ({ type: 'put', tenant, kind: 'policy', id: spec.uri, value: spec })),
  );
  return store;
}

/** A host over such a store. */
export function openHost(
  { policies, tried = [] }: Policies,
  store: Store,
  options: Pick<PolicyHostOptions, 'clock' | 'seed'> = {},
): PolicyHost {
  const sources = new Map(tried.map(({ spec, source }) => [spec.artifact?.hash as string, source]));
  return createPolicyHost({
    ...{ builtins: policies, store, ...options },
    async loadArtifact(hash) {
      const source = sources.get(hash);
      if (source === undefined) throw new Error('a simulation has no other policies');
      return source;
    },
  });
}

/** @throws {SpecError} SPEC_INVALID - a variant names a policy that is not there, or configures it wrongly */
export async function assertPolicies(scenario: Scenario, given: Policies): Promise<void> {
  const host = openHost(given, await storeOf(given));
  const problems: Problem[] = [];
  for (const [at, { policies }] of scenario.variants.entries()) {
    for (const [hook, reference] of Object.entries(policies)) {
      const found = await host.check(tenant, hook, reference);
      const place = `$.variants[${at}].policies.${hook}`;
      const path = (of: string) => of.replace(`$.policies.${hook}`, () => place);
      problems.push(...found.map((problem) => ({ ...problem, path: path(problem.path) })));
    }
  }
  await host.close();
  const [first] = problems;
  if (!first) return;
  throw new SpecError('SPEC_INVALID', `the scenario: ${first.path} ${first.message}`, { problems });
}
