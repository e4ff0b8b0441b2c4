import type { NodeSnapshot } from './cluster.ts';
import { AiosError } from './errors.ts';
import type { HookInput } from './hooks.ts';
import type { LinkMetrics } from './metrics.ts';
import type { ModelOutline } from './splitter.ts';

type Question = HookInput<'splitPlanner'>;

/** What a model is to fit, as measured. */
export type PlannerFit = Pick<Question, 'nodes' | 'links'>;

/** A cluster as its control plane sees it. */
export interface FittedCluster {
  readonly id: string;
  readonly nodes: readonly NodeSnapshot[];
  readonly links?: readonly LinkMetrics[];
}

/**
 * What the healthy nodes of the clusters with a free core may still promise, how fast they are, and the ways between them.
 *
 * @param clusters - none named, none known
 * @throws {AiosError} SPLIT_INFEASIBLE - none of their nodes is healthy and has a core to promise
 */
export function fitOf(clusters: readonly FittedCluster[]): PlannerFit {
  const nodes = clusters.flatMap(({ id: clusterId, nodes: snapshots }) =>
    snapshots
      // A shard computes on a core of its own.
      .filter(({ healthy, free }) => healthy && free.cpuCores >= 1)
      .map(({ id, free, measured }): Question['nodes'][number] => {
        const { weightBytesPerSecond } = measured ?? {};
        return {
          ...{ clusterId, nodeId: id },
          ...{ freeMemoryBytes: free.memoryBytes, cpuCores: free.cpuCores },
          ...(weightBytesPerSecond === undefined ? {} : { weightBytesPerSecond }),
        };
      }),
  );
  if (clusters.length > 0 && nodes.length === 0) {
    throw new AiosError(
      'SPLIT_INFEASIBLE',
      `no node of ${clusters.map(({ id }) => id).join(', ')} is healthy and has a core to promise; there is nothing to fit the model to.`,
    );
  }
  const names = new Set(nodes.map(({ clusterId, nodeId }) => `${clusterId}/${nodeId}`));
  const links = new Map<string, NonNullable<Question['links']>[number]>();
  // A way between two of the clusters is known to both.
  for (const { between, values } of clusters.flatMap((cluster) => cluster.links ?? [])) {
    const { latencyMs, bytesPerSecond } = values;
    if (bytesPerSecond === undefined || !between.every((name) => names.has(name))) continue;
    links.set(JSON.stringify(between), { between, latencyMs, bytesPerSecond });
  }
  return { nodes, ...(links.size > 0 ? { links: [...links.values()] } : {}) };
}

/** @param maxSessions - that its KV cache is for */
export function plannedModel(outline: ModelOutline, maxSessions: number): Question['model'] {
  const { name, layers, embeddingBytes, headBytes, overheadBytes } = outline;
  const { contextTokens, activationBytes, weightDtype } = outline;
  return {
    ...{ name, layers, embeddingBytes, headBytes, overheadBytes, contextTokens, maxSessions },
    ...(activationBytes === undefined ? {} : { activationBytes }),
    ...(weightDtype === undefined ? {} : { weightDtype }),
  };
}
