import { expect, test } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost } from '../../../runtime/policy/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { type HookName, hookNames, hooks } from '../../../sdk/hooks.ts';
import type { AnyPolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';

const input = {
  instances: [
    { id: 'busy', outstandingRequests: 9 },
    { id: 'idle', outstandingRequests: 1 },
  ],
};
const denied = { allowed: false, reason: "policy 'broken:1-x' threw: broken" };
/** What the caller gets from a policy that fails: by the hook where it matters, else by its `onError`. */
const expected: Readonly<Partial<Record<HookName, unknown>>> = {
  loadBalancer: { instanceId: 'idle' },
  preCheck: denied,
  quotaChecker: denied,
  resourceEstimator: denied,
  qualityChecker: { ok: true, findings: [] },
  healthChecker: { healthy: true },
  autoscaler: { hold: true },
  stabilityChecker: { actions: [] },
  failurePolicy: { actions: [] },
  blockEvent: { handled: false },
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

    const failing = hooks[hook].onError === 'fail-with-reason';
    expect(hook in expected).toBe(!failing);
    expect(answer).toEqual(failing ? 'POLICY_THREW' : expected[hook]);
  },
);
