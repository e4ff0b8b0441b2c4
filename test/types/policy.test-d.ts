import { definePolicy, type Policy } from 'aios-sdk';
import { expectTypeOf, test } from 'vitest';
import { z } from 'zod';

const described = { version: '1.0.0', description: 'For the type test.', settings: z.object({}) };

test('a policy’s hook, parameters and name are inferred', () => {
  const policy = definePolicy({
    ...described,
    hook: 'loadBalancer',
    name: 'first',
    parameters: z.object({ skip: z.number().default(0) }),
    evaluate(input, context) {
      expectTypeOf(input.action).toEqualTypeOf<'load_balance'>();
      expectTypeOf(input.instances[0]?.outstandingRequests).toEqualTypeOf<number | undefined>();
      expectTypeOf(context.parameters).toEqualTypeOf<{ skip: number }>();
      return { instanceId: 'in-1' };
    },
  });

  expectTypeOf(policy).toEqualTypeOf<Policy<'loadBalancer', 'first'>>();
});

test('schemas may be left out: then there are no values', () => {
  definePolicy({
    hook: 'loadBalancer',
    name: 'plain',
    version: '1.0.0',
    description: 'For the type test.',
    evaluate(input, context) {
      expectTypeOf(input.sessionId).toEqualTypeOf<string>();
      expectTypeOf(context.parameters).toEqualTypeOf<Record<string, never>>();
      return { instanceId: 'in-1' };
    },
  });
});

test('the action discriminates the input', () => {
  definePolicy({
    ...described,
    hook: 'clusterAllocator',
    name: 'best',
    parameters: z.object({}),
    evaluate(input) {
      if (input.action === 'selection') {
        expectTypeOf(input.clusters[0]?.id).toEqualTypeOf<string | undefined>();
        return { clusters: [] };
      }
      expectTypeOf(input.candidates[0]?.score).toEqualTypeOf<number | undefined>();
      return { clusterId: 'c' };
    },
  });
});

test('an answer of another hook is an error', () => {
  definePolicy({
    ...described,
    hook: 'loadBalancer',
    name: 'wrong',
    parameters: z.object({}),
    // @ts-expect-error a load balancer answers with an instance
    evaluate: () => ({ clusters: [] }),
  });
});

test('an unknown hook is an error', () => {
  definePolicy({
    ...described,
    // @ts-expect-error there is no such hook
    hook: 'loadBalencer',
    name: 'wrong',
    parameters: z.object({}),
    evaluate: () => {
      throw new Error('never called');
    },
  });
});

test('actions that a policy may add are typed by themselves', () => {
  definePolicy({
    ...described,
    hook: 'resourceAllocator',
    name: 'mover',
    parameters: z.object({ patience: z.number().default(1) }),
    evaluate: () => ({ score: 0, assignments: [] }),
    actions: {
      reassignment(input, context) {
        expectTypeOf(input.instanceId).toEqualTypeOf<string>();
        expectTypeOf(context.parameters).toEqualTypeOf<{ patience: number }>();
        return { skip: true as const, reason: input.reason };
      },
    },
  });
});
