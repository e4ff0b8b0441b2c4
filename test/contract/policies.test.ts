import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../policies/index.ts';
import { exampleInputs } from '../../sdk/hooks/examples.ts';
import { hooks } from '../../sdk/hooks.ts';
import { parseVersionedName } from '../../sdk/ids.ts';
import { policyReference } from '../../sdk/spec/common.ts';
import { testHost } from '../support/clusters.ts';

const host = testHost();
afterAll(() => host.close());

/** AIOS's own names keep their versions and tags. */
const isAios = (uri: string): boolean => uri.startsWith('policy.');

describe.each(builtinPolicies.map((policy) => [policy.uri, policy] as const))(
  '%s',
  (uri, policy) => {
    const { hook } = policy;

    it('is named, versioned and described', () => {
      if (!isAios(uri)) expect(parseVersionedName(uri).releaseTag).toBe('stable');
      expect(policy.description).toMatch(/Choose it .+\.$/);
    });

    it('runs without any configuration, and its schemas have a JSON form', () => {
      expect(policy.parameters.safeParse({}).success).toBe(true);
      expect(policy.settings.safeParse({}).success).toBe(true);
      for (const schema of [policy.parameters, policy.settings]) {
        expect(z.toJSONSchema(schema, { io: 'input' })).toMatchObject({ type: 'object' });
      }
    });

    it.each(Object.keys(hooks[hook].outputs))(
      'answers %s as the hook demands, the same way twice',
      async (action) => {
        const input = (exampleInputs[hook] as unknown as Record<string, never>)[action];
        const reference = policyReference.parse({ policyRuleURI: uri });
        const ask = (useSite: string) =>
          host.evaluate({
            ...{ tenant: 'default', inventoryRevision: 1, useSite, reference },
            hook,
            action: action as never,
            input: input as never,
          });

        const first = await ask('one');
        const second = await ask('two');

        expect(first.evaluation.error).toBeUndefined();
        expect(second.output).toEqual(first.output);
      },
    );
  },
);
