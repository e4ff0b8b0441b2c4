import { expect, test } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost } from '../../../runtime/policy/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { type HookName, hookNames, hooks, type OnError } from '../../../sdk/hooks.ts';
import type { AnyPolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';

const input = {
  instances: [
    { id: 'busy', outstandingRequests: 9 },
    { id: 'idle', outstandingRequests: 1 },
  ],
};
/** What the caller gets from a policy that fails, by the hook's `onError`; the rest is for hooks to come. */
const expected: Partial<Record<OnError, unknown>> = {
  'fail-with-reason': 'POLICY_THREW',
  'least-queued': { instanceId: 'idle' },
};

test.each(hookNames)(
  'a policy of %s that fails is answered as the hook table says',
  async (hook) => {
    const broken = {
      ...{ type: 'policy', hook, name: 'broken', version: '1', releaseTag: 'x', uri: 'broken:1-x' },
      ...{ description: '', parameters: z.object({}), settings: z.object({}) },
      evaluate() {
        throw new Error('broken');
      },
    } as unknown as AnyPolicy;
    const host = createPolicyHost({
      builtins: [...builtinPolicies, broken],
      store: createMemoryStore(),
      loadArtifact: () => Promise.reject(new Error('no artifacts')),
    });
    const action = Object.keys(hooks[hook].outputs)[0] as never;

    const answer = await host
      .evaluate<HookName, never>({
        ...{ tenant: 'default', hook, action, useSite: 'block/b', inventoryRevision: 0 },
        reference: policyReference.parse({ policyRuleURI: 'broken:1-x' }),
        input: input as never,
      })
      .then(
        ({ output, evaluation }) => {
          expect(evaluation.error?.code).toBe('POLICY_THREW');
          return output as unknown;
        },
        (fault: unknown) => AiosError.from(fault).code,
      );
    await host.close();

    expect(answer).toEqual(expected[hooks[hook].onError]);
  },
);
