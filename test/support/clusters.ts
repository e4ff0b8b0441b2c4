import type { z } from 'zod';
import { builtinPolicies } from '../../policies/index.ts';
import type { ClusterView, Placement, PlacementRequest } from '../../runtime/placement/index.ts';
import { createPlacement } from '../../runtime/placement/index.ts';
import { createPolicyHost, type PolicyHost } from '../../runtime/policy/index.ts';
import { createMemoryStore } from '../../runtime/store/index.ts';
import type { NodeMeasurement } from '../../sdk/cluster.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import { clusterSpec } from '../../sdk/spec/cluster.ts';
import { policyReference, resourceAmounts } from '../../sdk/spec/common.ts';

export const gibibyte = 2 ** 30;

export function clusterView(
  document: z.input<typeof clusterSpec>,
  measured: Readonly<Record<string, Partial<NodeMeasurement>>> = {},
): ClusterView {
  const spec = clusterSpec.parse(document);
  const entries = Object.entries(measured).map(([id, values]): [string, NodeMeasurement] => [
    id,
    {
      ...{ atMs: 0, memoryUsedBytes: 0, cpuUsedCores: 0, load1m: 0, load5m: 0, load15m: 0 },
      processes: 1,
      ...values,
    },
  ]);
  return {
    spec,
    healthyNodes: new Set(spec.nodes.map((node) => node.id)),
    measured: new Map(entries),
  };
}

/** Nodes `n1`, `n2`, … of these sizes. */
export const nodesOf = (...memoryBytes: number[]) =>
  memoryBytes.map((bytes, at) => ({ id: `n${at + 1}`, memoryBytes: bytes, cpuCores: 4 }));

export const testHost = (extra: readonly AnyPolicy[] = []): PolicyHost =>
  createPolicyHost({
    builtins: [...builtinPolicies, ...extra],
    store: createMemoryStore(),
    loadArtifact: () => Promise.reject(new Error('no artifacts here')),
    seed: () => 7,
  });

export function testPlacement(
  clusters: readonly ClusterView[],
  options: { readonly host?: PolicyHost; readonly clock?: () => number } = {},
): Placement {
  const placement = createPlacement({
    host: options.host ?? testHost(),
    inventory: () => ({ clusters, revision: 1 }),
    ...(options.clock ? { clock: options.clock } : {}),
  });
  for (const { spec } of clusters) placement.ledgerOf('default').setCluster(spec);
  return placement;
}

export function request(
  id: string,
  resources: z.input<typeof resourceAmounts> | undefined,
  options: {
    readonly instances?: number;
    readonly policies?: Readonly<Record<string, z.input<typeof policyReference>>>;
    readonly onlyClusterId?: string;
  } = {},
): PlacementRequest {
  const { instances = 1, policies = {}, onlyClusterId } = options;
  return {
    tenant: 'default',
    block: {
      id,
      componentUri: 'test.block:1.0.0-stable',
      tenant: 'default',
      minInstances: instances,
      maxInstances: instances,
      ...(resources ? { resources: resourceAmounts.parse(resources) } : {}),
      tags: [],
      instances: [],
    },
    policies: Object.fromEntries(
      Object.entries(policies).map(([hook, reference]) => [hook, policyReference.parse(reference)]),
    ),
    instances,
    ...(onlyClusterId === undefined ? {} : { onlyClusterId }),
    reason: 'create',
    instanceIds: Array.from({ length: instances }, (_, at) => `${id}-in-${at}`),
  };
}
