import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { eventually } from '../../support/system.ts';
import { block, Plane, tenant } from './plane.ts';

/** What AIOS gets wrong, where no other test of this folder shows that it is right here. */
const plane = new Plane();
afterEach(() => plane.remove());

const meta = { version: '1.0.0', description: 'For this test.' } as const;
const broken = definePolicy({
  ...{ ...meta, hook: 'loadBalancer', name: 'broken' },
  evaluate: (): { instanceId: string } => {
    throw new Error('out of order');
  },
});
const seen: unknown[] = [];
const fields = z.strictObject({ mode: z.string(), gpus: z.number().default(0) });
const noting = definePolicy({
  ...{ ...meta, hook: 'resourceAllocator', name: 'noting', parameters: fields, settings: fields },
  evaluate(input, { parameters, settings }) {
    seen.push({ action: input.action, parameters, settings });
    const [node] = 'nodes' in input ? input.nodes : [];
    return input.action === 'allocation'
      ? { accept: true }
      : { score: 1, assignments: node ? [{ nodeId: node.id, gpus: [] }] : [] };
  },
});

const running = (id: string, count: number) =>
  eventually(`${id} runs`, async () => {
    const { state, instances } = await plane.block(id);
    return state === 'running' && instances.length === count;
  });

test('a load balancer that throws loses no request: the least busy instance takes each, and the log says why', async () => {
  await plane.up({ policies: [...builtinPolicies, broken] });
  await plane.declare();
  const policies = { loadBalancer: { policyRuleURI: 'broken:1.0.0-stable' } };
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2, policies }));
  await running('ocr', 2);

  const pick = (sessionId: string) =>
    plane.api.directory.pick({
      ...{ tenant, blockId: 'ocr', sessionId, waitMs: 0 },
      signal: new AbortController().signal,
    });
  const [first, second] = [await pick('a'), await pick('b')];
  expect(new Set([first.instanceId, second.instanceId]).size).toBe(2);
  first.release();
  expect((await pick('c')).instanceId).toBe(first.instanceId);
  expect(plane.log.filter((line) => line.includes('out of order'))).toHaveLength(1);
  // Whoever owns the block sees it without the log: once, with what the policy was asked.
  const about = await plane.api.decisions?.log.of(tenant, 'block/ocr', { kind: 'failure' });
  expect(about).toMatchObject([
    { message: expect.stringContaining('out of order'), evaluations: [{ hook: 'loadBalancer' }] },
  ]);
});

test('parameters are parameters and settings are settings, also under the same names', async () => {
  await plane.up({ policies: [...builtinPolicies, noting] });
  await plane.declare();
  const policies = {
    resourceAllocator: {
      policyRuleURI: 'noting:1.0.0-stable',
      parameters: { mode: 'a parameter' },
      settings: { mode: 'a setting', gpus: 2 },
    },
  };
  await plane.api.create(tenant, 'block', block('ocr', { policies }));
  await running('ocr', 1);

  expect(seen).toEqual(
    ['dry_run', 'allocation'].map((action) => ({
      action,
      parameters: { mode: 'a parameter', gpus: 0 },
      settings: { mode: 'a setting', gpus: 2 },
    })),
  );
});
