import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import type { HookName } from '../../../sdk/hooks.ts';
import { testHost } from '../../support/clusters.ts';

interface Rule {
  readonly name: HookName;
  readonly policyRuleURI: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
}

const rulesOf = (name: string): readonly Rule[] => {
  const file = new URL(`../../../examples/specs/${name}-block.json`, import.meta.url);
  const { policyRulesSpec } = JSON.parse(readFileSync(file, 'utf8')) as {
    policyRulesSpec: readonly { values: Rule }[];
  };
  return policyRulesSpec.map(({ values }) => values);
};

const host = testHost();
afterAll(() => host.close());

/** As the published examples write them: most have no tag. */
const published = [
  ...['llm-cluster-selector:v1', 'yolo-cluster-selector:v1', 'default-selector:v1'].map(
    (name) => `policy.clusterAllocator.${name}`,
  ),
  ...['multi-gpu-llm:v0.1.0', 'yolo-gpu-scheduler:v0.0.1-beta', 'cpu-only-scheduler:v1'].map(
    (name) => `policy.resourceAllocator.${name}`,
  ),
  ...['roundrobin:v0.0.1', 'session-aware-llm:v0.1.0'].map((name) => `policy.loadBalancer.${name}`),
  ...['retry-on-fail:v0.1.0', 'unhealthy-retry:v0.0.1'].map(
    (name) => `policy.stabilityChecker.${name}`,
  ),
  ...[
    'large-model-autoscaler:v0.0.1',
    'gpu-based-autoscaler:v0.0.01',
    'cpu-usage-autoscaler:v1',
  ].map((name) => `policy.autoscaler.${name}`),
];
const examples = ['mistral', 'yolo', 'vllm'].flatMap(rulesOf);

describe("the policies that AIOS's examples name", () => {
  it('are thirteen, and all that is built in under such names', () => {
    expect([...new Set(examples.map(({ policyRuleURI }) => policyRuleURI))].sort()).toEqual(
      [...published].sort(),
    );
    const names = builtinPolicies
      .map(({ name }) => name)
      .filter((name) => name.startsWith('policy.'));
    expect(names.sort()).toEqual(published.map((uri) => uri.split(':')[0] ?? '').sort());
  });

  it.each(examples.map((rule) => [rule.policyRuleURI, rule] as const))(
    '%s is found without its tag, and takes what the example gives it',
    async (_, { name, policyRuleURI, parameters, settings }) => {
      const reference = { policyRuleURI: policyRuleURI as never, parameters, settings };

      expect(await host.check('default', name, reference)).toEqual([]);
      const [policy] = builtinPolicies.filter(({ uri }) => uri.startsWith(policyRuleURI));
      expect(policy?.hook).toBe(name);
    },
  );

  it.each(examples.map((rule) => [rule.policyRuleURI, rule] as const))(
    '%s takes a filter and numbers as text, and no key of another name',
    (_, { policyRuleURI, parameters, settings }) => {
      const [policy] = builtinPolicies.filter(({ uri }) => uri.startsWith(policyRuleURI));
      const asText = (values: Rule['parameters']) =>
        Object.fromEntries(
          Object.entries(values).map(([key, value]) => [
            key,
            typeof value === 'number' ? String(value) : value,
          ]),
        );

      expect(policy?.parameters.safeParse(asText(parameters)).success).toBe(true);
      expect(policy?.settings.safeParse(asText(settings)).success).toBe(true);
      expect(policy?.parameters.safeParse({ ...parameters, misspelt: 1 }).success).toBe(false);
      expect(policy?.settings.safeParse({ ...settings, misspelt: 1 }).success).toBe(false);
    },
  );
});
