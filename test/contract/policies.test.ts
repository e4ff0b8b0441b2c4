import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../policies/index.ts';
import type { HookAction, HookInput, HookName } from '../../sdk/hooks.ts';
import { hooks } from '../../sdk/hooks.ts';
import { parseVersionedName } from '../../sdk/ids.ts';
import { policyReference } from '../../sdk/spec/common.ts';
import { clusterView, nodesOf, testHost, testPlacement } from '../support/clusters.ts';

const host = testHost();
afterAll(() => host.close());

const view = clusterView({ id: 'c', nodes: nodesOf(8, 4, 2) });
const cluster = testPlacement([view], { host }).snapshot('default', view);
const block = {
  ...{
    id: 'b',
    componentUri: 'a.b:1-x',
    tenant: 'default',
    minInstances: 2,
    maxInstances: 2,
    tags: [],
  },
  resources: { memoryBytes: 2, cpuCores: 1, gpus: [] },
  instances: [],
};
const plan = {
  clusterId: 'c',
  score: 0.5,
  assignments: [
    { nodeId: 'n1', gpus: [] },
    { nodeId: 'n2', gpus: [] },
  ],
};
const layers = Array.from({ length: 6 }, () => ({ residentBytes: 1, kvBytes: 1 }));

/** One question for every action of every hook: a policy of the hook must answer each. */
const questions: { readonly [H in HookName]: { readonly [A in HookAction<H>]: HookInput<H, A> } } =
  {
    clusterAllocator: {
      selection: { action: 'selection', block, clusters: [cluster] },
      post_dry_run: { action: 'post_dry_run', block, candidates: [plan] },
    },
    resourceAllocator: {
      dry_run: { action: 'dry_run', block, instances: 2, cluster, nodes: cluster.nodes },
      allocation: {
        action: 'allocation',
        block,
        instances: 2,
        cluster,
        nodes: cluster.nodes,
        plan,
      },
    },
    loadBalancer: {
      load_balance: {
        ...{ action: 'load_balance', blockId: 'b', sessionId: 's' },
        instances: [
          { id: 'i1', outstandingRequests: 0 },
          { id: 'i2', outstandingRequests: 3 },
        ],
      },
    },
    splitPlanner: {
      plan: {
        action: 'plan',
        model: { name: 'm', layers, embeddingBytes: 1, headBytes: 1, overheadBytes: 1 },
        nodes: cluster.nodes.map((node) => ({
          ...{ clusterId: 'c', nodeId: node.id, cpuCores: 4 },
          freeMemoryBytes: node.free.memoryBytes,
        })),
      },
    },
  };

describe.each(builtinPolicies.map((policy) => [policy.uri, policy] as const))(
  '%s',
  (uri, policy) => {
    const { hook } = policy;

    it('is named, versioned and described', () => {
      expect(parseVersionedName(uri).releaseTag).toBe('stable');
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
        const input = (questions[hook] as unknown as Record<string, never>)[action];
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
