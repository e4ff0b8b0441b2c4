import type {
  BlockStatus,
  ClusterStatus,
  ResourceKind,
  ResourceSpecs,
  VdagStatus,
} from '../sdk/client/api.ts';
import type { BlockManager } from './block/index.ts';
import type { Inventory, Metrics } from './metrics/index.ts';
import type { Placement } from './placement/index.ts';
import type { PolicyHost } from './policy/index.ts';
import type { Registry } from './registry/index.ts';
import type { Cordons } from './scaling/index.ts';
import type { StoredDocument } from './store/index.ts';

/** A policy as it is listed: an uploaded one with its document. */
export interface PolicyView {
  readonly uri: string;
  readonly hook: string;
  readonly description: string;
  readonly origin: 'built-in' | 'uploaded';
  readonly spec?: ResourceSpecs['policy'];
}

/** What is declared, beside how it is. */
export interface Views {
  all(tenant: string): Promise<{
    readonly clusters: readonly ClusterStatus[];
    readonly blocks: readonly BlockStatus[];
    readonly vdags: readonly VdagStatus[];
  }>;
  list(tenant: string, kind: ResourceKind): Promise<readonly unknown[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, kind: ResourceKind, id: string): Promise<unknown>;
}

export function createViews(parts: {
  readonly registry: Registry;
  readonly policies: PolicyHost;
  readonly inventory: Inventory;
  readonly cordons: Pick<Cordons, 'of'>;
  readonly placement: Placement;
  readonly blocks: BlockManager;
  readonly metrics: Pick<Metrics, 'answering' | 'speeds'>;
}): Views {
  const { registry, policies, inventory, placement, blocks } = parts;

  function clusterView({
    tenant,
    value: spec,
    revision,
  }: StoredDocument<ResourceSpecs['cluster']>): ClusterStatus {
    const view = inventory.cluster(tenant, spec.id);
    const cordons = parts.cordons.of(tenant, spec.id);
    const links = parts.metrics.speeds.links(tenant, spec.id);
    return {
      ...{ spec, revision, nodes: view ? placement.snapshot(tenant, view).nodes : [] },
      ...(cordons.length > 0 ? { cordons } : {}),
      ...(links.length > 0 ? { links } : {}),
    };
  }

  /** Blocks of a vDAG and of those nested in it that have no ready instance. */
  async function waitingFor(
    tenant: string,
    spec: ResourceSpecs['vdag'],
    seen: Set<string>,
  ): Promise<readonly string[]> {
    if (seen.has(spec.uri)) return [];
    seen.add(spec.uri);
    const waiting: string[] = [];
    for (const { blockId, vdagUri } of spec.nodes) {
      if (blockId !== undefined && !blocks.isReady(tenant, blockId)) waiting.push(blockId);
      if (vdagUri === undefined) continue;
      const nested = await registry.get(tenant, 'vdag', vdagUri);
      waiting.push(...(nested ? await waitingFor(tenant, nested.value, seen) : [vdagUri]));
    }
    return waiting;
  }

  async function vdagView(
    tenant: string,
    { value: spec, revision }: StoredDocument<ResourceSpecs['vdag']>,
  ): Promise<VdagStatus> {
    const waiting = [...new Set(await waitingFor(tenant, spec, new Set()))];
    const serving = parts.metrics.answering.serving(tenant, spec.uri);
    return {
      ...{ spec, revision, ready: waiting.length === 0, waitingFor: waiting },
      ...(serving ? { serving } : {}),
    };
  }

  async function policyViews(tenant: string): Promise<readonly PolicyView[]> {
    const uploaded = new Map(
      (await registry.list(tenant, 'policy')).map(({ id, value }) => [id, value]),
    );
    return (await policies.list(tenant)).map((listed) => {
      const spec = uploaded.get(listed.uri);
      return { ...listed, ...(spec ? { spec } : {}) };
    });
  }

  async function list(tenant: string, kind: ResourceKind): Promise<readonly unknown[]> {
    switch (kind) {
      case 'cluster':
        return (await registry.list(tenant, kind)).map(clusterView);
      case 'vdag':
        return Promise.all((await registry.list(tenant, kind)).map((v) => vdagView(tenant, v)));
      case 'block':
        return blocks.statuses(tenant);
      case 'policy':
        return policyViews(tenant);
      case 'component':
        return (await registry.list(tenant, kind)).map(({ value }) => value);
    }
  }

  async function get(tenant: string, kind: ResourceKind, id: string): Promise<unknown> {
    switch (kind) {
      case 'cluster':
        return clusterView(await registry.require(tenant, kind, id));
      case 'vdag':
        return vdagView(tenant, await registry.require(tenant, kind, id));
      case 'block':
        return blocks.status(tenant, id);
      case 'policy': {
        const described = await policies.describe(tenant, id);
        const stored = await registry.get(tenant, kind, described.uri);
        return { ...described, ...(stored ? { spec: stored.value } : {}) };
      }
      case 'component':
        return (await registry.require(tenant, kind, id)).value;
    }
  }

  return {
    list,
    get,
    async all(tenant) {
      const [clusters, vdags] = await Promise.all([
        registry.list(tenant, 'cluster'),
        registry.list(tenant, 'vdag'),
      ]);
      return {
        clusters: clusters.map(clusterView),
        blocks: await blocks.statuses(tenant),
        vdags: await Promise.all(vdags.map((vdag) => vdagView(tenant, vdag))),
      };
    },
  };
}
