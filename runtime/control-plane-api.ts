import type {
  Created,
  Decision,
  ResourceKind,
  ResourceSpecs,
  SystemStatus,
} from '../sdk/client/api.ts';
import { AiosError } from '../sdk/errors.ts';
import { resolveResources } from '../sdk/spec/index.ts';
import {
  type BlockManager,
  refuseUnrunnable,
  resolvePolicies,
  resolveWorkload,
} from './block/index.ts';
import type { ArtifactStore, ControlPlane } from './control-plane.ts';
import { blockLogs, instanceLogs } from './control-plane-logs.ts';
import { createViews } from './control-plane-views.ts';
import type { Inventory, Metrics } from './metrics/index.ts';
import type { Placement } from './placement/index.ts';
import type { PolicyHost } from './policy/index.ts';
import { type Registry, resolveVdag, whyNotRunnable } from './registry/index.ts';
import type { Store, StoredDocument } from './store/index.ts';

export interface ControlPlaneParts {
  readonly store: Store;
  readonly artifacts: ArtifactStore;
  readonly policies: PolicyHost;
  readonly inventory: Inventory;
  readonly metrics: Metrics;
  readonly placement: Placement;
  readonly registry: Registry;
  readonly blocks: BlockManager;
  readonly close: () => Promise<void>;
  readonly facts: Pick<SystemStatus, 'version' | 'pid' | 'startedAtMs' | 'dataDirectory'>;
}

const watchedKinds = ['component', 'block', 'vdag', 'policy', 'cluster', 'instance'] as const;

/** What the gateway calls, over the parts that do it. */
export function createControlPlaneApi(parts: ControlPlaneParts): ControlPlane {
  const { store, artifacts, inventory, placement, registry, blocks } = parts;
  const views = createViews(parts);

  /** A node that holds instances stays. */
  async function assertNodesStay(
    tenant: string,
    next: ResourceSpecs['cluster'],
    existing: StoredDocument<ResourceSpecs['cluster']> | undefined,
  ): Promise<void> {
    if (!existing) return;
    const kept = new Set(next.nodes.map(({ id }) => id as string));
    const instances = await store.list<{ clusterId: string; nodeId: string }>(tenant, 'instance');
    const lost = instances.filter(
      ({ value }) => value.clusterId === next.id && !kept.has(value.nodeId),
    );
    if (lost.length === 0) return;
    const by = lost.map(({ id }) => `instance '${id}'`);
    throw new AiosError(
      'IN_USE',
      `cluster '${next.id}' cannot lose nodes that hold ${by.slice(0, 5).join(', ')}. Delete their blocks first, or keep the nodes.`,
      { details: { by } },
    );
  }

  async function createCluster(tenant: string, document: unknown, replace: boolean) {
    const created = await registry.create(tenant, 'cluster', document, {
      replace,
      beforeCommit: (spec, existing) => assertNodesStay(tenant, spec, existing),
    });
    inventory.setCluster(tenant, created.spec);
    placement.ledgerOf(tenant).setCluster(created.spec);
    await inventory.measure();
    blocks.retryPending();
    return created;
  }

  async function remove(tenant: string, kind: ResourceKind, id: string): Promise<void> {
    if (kind === 'block') {
      const deletion = { tenant, kind: 'block-deletion', id, type: 'put', value: {} } as const;
      await registry.remove(tenant, kind, id, [deletion]);
      await blocks.whenGone(tenant, id);
      return;
    }
    await registry.remove(tenant, kind, id);
    if (kind !== 'cluster') return;
    inventory.removeCluster(tenant, id);
    placement.ledgerOf(tenant).removeCluster(id);
  }

  async function dryRun(tenant: string, document: unknown): Promise<Decision> {
    const { spec } = await registry.read(tenant, 'block', document);
    const component = await registry.require(tenant, 'component', spec.componentUri);
    const fault = whyNotRunnable(component.value);
    if (fault) {
      const refused = refuseUnrunnable(tenant, spec, fault, inventory.clusters(tenant));
      await store.commit(blocks.decisions.record(refused));
      return refused;
    }
    const workload = resolveWorkload(spec, component.value);
    const policiesOfBlock = resolvePolicies(spec, component.value);
    const { resources } = resolveResources(spec, policiesOfBlock, component.value.metadata);
    const count = Math.max(1, spec.minInstances);
    const { decision } = await placement.place(
      {
        tenant,
        block: {
          id: spec.id,
          componentUri: spec.componentUri,
          tenant,
          minInstances: spec.minInstances,
          maxInstances: spec.maxInstances,
          tags: spec.tags,
          instances: [],
          ...(resources ? { resources } : {}),
          ...(spec.priority === undefined ? {} : { priority: spec.priority }),
          ...(spec.placement ? { placement: spec.placement } : {}),
        },
        policies: policiesOfBlock,
        instances: count,
        instanceIds: Array.from(
          { length: count },
          (_, index) => `${spec.id.slice(0, 200)}-dry-run-${index}`,
        ),
        reason: 'dry-run',
        ...(workload ? { workload: workload.workload.type } : {}),
      },
      { reserve: false },
    );
    await store.commit(blocks.decisions.record(decision));
    return decision;
  }

  return {
    directory: blocks.directory,
    artifacts,
    metrics: parts.metrics,
    status: async (tenant) => ({ ...parts.facts, ...(await views.all(tenant)) }),
    async create(tenant, kind, document, options = {}): Promise<Created> {
      const replace = options.replace ?? false;
      if (kind === 'cluster') return createCluster(tenant, document, replace);
      return registry.create(tenant, kind, document, { replace });
    },
    dryRunBlock: dryRun,
    createPlan: (tenant, plan) => registry.createPlan(tenant, plan),
    list: (tenant, kind) => views.list(tenant, kind),
    get: (tenant, kind, id) => views.get(tenant, kind, id),
    delete: remove,
    async explain(tenant, blockId) {
      const found = await blocks.decisions.ofBlock(tenant, blockId);
      if (found.length === 0) await registry.require(tenant, 'block', blockId);
      return found;
    },
    resolveVdag: (tenant, name) => resolveVdag(registry, tenant, name),
    async models(tenant) {
      const vdags = await registry.list(tenant, 'vdag');
      return vdags
        .filter(({ value }) => value.generation)
        .map(({ id, value, createdAtMs }) => ({ id, vdag: value, createdAtMs }));
    },
    blockStatus: (tenant, blockId) => blocks.status(tenant, blockId),
    logs(tenant, target, options) {
      if ('instanceId' in target) {
        return instanceLogs({ tenant, instanceId: target.instanceId, blocks, options });
      }
      return blockLogs({ tenant, blockId: target.blockId, blocks, options });
    },
    watch(tenant, listener) {
      const stopDocuments = store.watch(watchedKinds, (change) => {
        const { tenant: owner, kind, id } = change.type === 'put' ? change.document : change.key;
        if (owner === tenant) listener({ kind, id, type: change.type });
      });
      const stopBlocks = blocks.onChange((owner, id) => {
        if (owner === tenant) listener({ kind: 'block', id, type: 'put' });
      });
      return () => {
        stopDocuments();
        stopBlocks();
      };
    },
    close: parts.close,
  };
}
