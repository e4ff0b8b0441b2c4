import type { Created, CreatedPlan, ResourceKind, ResourceSpecs } from '../sdk/client/api.ts';
import { AiosError, type Problem } from '../sdk/errors.ts';
import type { PreCheckAction } from '../sdk/hooks.ts';
import { readPlan } from '../sdk/spec/index.ts';
import {
  type Admission,
  type AdmissionRequest,
  type AdmissionRequests,
  type ExpandTemplate,
  nodeChanges,
} from './admission/index.ts';
import type { BlockManager } from './block/index.ts';
import type { Inventory } from './metrics/index.ts';
import type { Placement } from './placement/index.ts';
import type { PlanOptions, Registry } from './registry/index.ts';
import { type AssignParts, assignBlocks, bind } from './search/index.ts';
import type { Store, StoredDocument } from './store/index.ts';

export interface ChangeParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly inventory: Inventory;
  readonly placement: Placement;
  readonly blocks: BlockManager;
  readonly admission: Admission;
  readonly requests: AdmissionRequests;
  readonly expand: ExpandTemplate;
  readonly assigning: AssignParts;
}

/** Everything that changes what is declared, behind the pre-checks. */
export interface Changes {
  create(tenant: string, kind: ResourceKind, document: unknown, replace: boolean): Promise<Created>;
  createPlan(tenant: string, plan: unknown, options?: PlanOptions): Promise<CreatedPlan>;
  delete(tenant: string, kind: ResourceKind, id: string): Promise<void>;
  /** Stores a cluster that was admitted. `expected`: as it was when that was decided. */
  storeCluster(
    tenant: string,
    document: unknown,
    options: { readonly replace: boolean; readonly expected?: number },
  ): Promise<Created<ResourceSpecs['cluster']>>;
}

type Cluster = ResourceSpecs['cluster'];

/** A policy's rewriting that nothing can be made of is a refusal, and not the author's mistake. */
export function spoiled(action: string, problems: readonly Problem[], message: string): AiosError {
  return new AiosError(
    'ADMISSION_DENIED',
    `${action} is refused: a pre-check rewrote it into what cannot be done. ${message}`,
    { problems, details: { action } },
  );
}

export function createChanges(parts: ChangeParts): Changes {
  const { store, registry, inventory, placement, blocks, admission, requests } = parts;

  /** Asks, and reads what was rewritten like any document. */
  async function admitted<K extends ResourceKind>(
    tenant: string,
    kind: K,
    spec: ResourceSpecs[K],
    request: AdmissionRequest & { readonly input: ResourceSpecs[K] },
  ): Promise<ResourceSpecs[K]> {
    const answer = await admission.admit(request);
    if (answer === spec) return spec;
    try {
      return (await registry.read(tenant, kind, answer)).spec;
    } catch (fault) {
      const { message, problems } = AiosError.from(fault);
      throw spoiled(request.action, problems, message);
    }
  }

  /** A node that holds instances stays. */
  async function assertNodesStay(
    tenant: string,
    next: Cluster,
    existing: StoredDocument<Cluster> | undefined,
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

  const storeCluster: Changes['storeCluster'] = async (tenant, document, options) => {
    const { replace, expected } = options;
    const created = await registry.create(tenant, 'cluster', document, {
      replace,
      async beforeCommit(spec, existing) {
        if (expected !== undefined && existing?.revision !== expected) {
          throw new AiosError('STORE_CONFLICT', `cluster '${spec.id}' was changed meanwhile.`);
        }
        await assertNodesStay(tenant, spec, existing);
      },
    });
    inventory.setCluster(tenant, created.spec);
    placement.ledgerOf(tenant).setCluster(created.spec);
    await inventory.measure();
    blocks.retryPending();
    return created;
  };

  /** One check for each node that comes or goes. */
  async function admitNodes(tenant: string, before: Cluster, after: Cluster): Promise<Cluster> {
    const { added, removed } = nodeChanges(before, after);
    const { id: clusterId } = before;
    for (const nodeId of removed) {
      const input = { clusterId, nodeId };
      await admission.permit(requests.node(tenant, 'remove_node', clusterId, nodeId, input));
    }
    let nodes: readonly Cluster['nodes'][number][] = after.nodes;
    for (const node of added) {
      const asked = requests.node(tenant, 'add_node', clusterId, node.id, node);
      const answer = await admission.admit(asked);
      if (answer !== node) nodes = nodes.map((one) => (one === node ? answer : one));
    }
    return nodes === after.nodes ? after : { ...after, nodes: [...nodes] };
  }

  async function createCluster(tenant: string, document: unknown, replace: boolean) {
    const { spec, mode, warnings } = await registry.read(tenant, 'cluster', document);
    const { id } = spec;
    const existing = await registry.get(tenant, 'cluster', id);
    // The registry says why it cannot be made.
    if ((existing && !replace) || (mode && mode !== 'create')) {
      return storeCluster(tenant, document, { replace });
    }
    const action = existing ? 'update_cluster' : 'add_cluster';
    let next = await admitted(tenant, 'cluster', spec, requests.cluster(tenant, action, id, spec));
    if (existing && next.id !== id) {
      throw spoiled(action, [], `It names cluster '${next.id}' instead of '${id}'.`);
    }
    if (existing) {
      const withNodes = await admitNodes(tenant, existing.value, next);
      if (withNodes !== next) {
        try {
          next = (await registry.read(tenant, 'cluster', withNodes)).spec;
        } catch (fault) {
          const { message, problems } = AiosError.from(fault);
          throw spoiled('add_node', problems, message);
        }
      }
    }
    if (next === spec) return storeCluster(tenant, document, { replace });
    const created = await storeCluster(tenant, next, { replace });
    return { ...created, warnings: [...warnings, ...created.warnings] };
  }

  async function createBlock(tenant: string, document: unknown, replace: boolean) {
    const concern = { tenant, action: 'add_block' } as const;
    if (!admission.concerns(concern)) {
      return registry.create(tenant, 'block', document, { replace });
    }
    const { spec, mode, warnings } = await registry.read(tenant, 'block', document);
    if (mode && mode !== 'allocate') return registry.create(tenant, 'block', document, { replace });
    // A document without an id was given one, which the policy has seen.
    const asked = requests.block(tenant, 'add_block', spec.id, spec);
    const next = await admitted(tenant, 'block', spec, { ...asked, clusterIds: [] });
    const created = await registry.create(tenant, 'block', next, { replace });
    return { ...created, warnings: [...warnings, ...created.warnings] };
  }

  async function createVdag(tenant: string, document: unknown, replace: boolean) {
    const { spec } = await registry.read(tenant, 'vdag', document);
    if (!replace && (await registry.get(tenant, 'vdag', spec.uri))) {
      return registry.create(tenant, 'vdag', document, { replace });
    }
    const bindings = await assignBlocks(parts.assigning, tenant, spec);
    const bound = bind(spec, bindings);
    const asked = requests.vdag(tenant, 'add_vdag_controller', bound, bound);
    const next = await admitted(tenant, 'vdag', bound, asked);
    const amend = (read: ResourceSpecs['vdag']) => bind(read, bindings);
    return registry.create(tenant, 'vdag', next === bound ? document : next, { replace, amend });
  }

  async function createPlan(
    tenant: string,
    document: unknown,
    options?: PlanOptions,
  ): Promise<CreatedPlan> {
    const concerned = (['add_block', 'add_vdag_controller'] as const).some((action) =>
      admission.concerns({ tenant, action }),
    );
    if (!concerned) return registry.createPlan(tenant, document, options);
    // Nobody is asked about blocks that are there already.
    const { plan, shared } = await registry.sharePlan(tenant, readPlan(document), options);
    const isNew = async (kind: 'block' | 'vdag', id: string) =>
      (await registry.get(tenant, kind, id)) === undefined;
    const planned: typeof plan.blocks = [];
    for (const block of plan.blocks) {
      const asked = requests.block(tenant, 'add_block', block.id, block);
      const fresh = await isNew('block', block.id);
      planned.push(fresh ? await admission.admit({ ...asked, clusterIds: [] }) : block);
    }
    const { vdag } = plan;
    const asked = requests.vdag(tenant, 'add_vdag_controller', vdag, vdag);
    const controller = (await isNew('vdag', vdag.uri)) ? await admission.admit(asked) : vdag;
    const next = { ...plan, blocks: planned, vdag: controller };
    const created = await registry.createPlan(tenant, next, { share: false });
    return shared.length > 0 ? { ...created, sharedBlocks: shared } : created;
  }

  /** Nobody is asked about what does not exist; and where nobody would be asked, nothing waits. */
  async function permitRemoval(tenant: string, kind: ResourceKind, id: string): Promise<void> {
    if (kind === 'block' || kind === 'cluster') {
      const request =
        kind === 'block'
          ? requests.block(tenant, 'remove_block', id, { blockId: id })
          : requests.cluster(tenant, 'remove_cluster', id, { clusterId: id });
      await registry.require(tenant, kind, id);
      await admission.permit(request);
    } else if (kind === 'vdag') {
      const { value } = await registry.require(tenant, kind, id);
      const input = { vdagUri: id };
      await admission.permit(requests.vdag(tenant, 'remove_vdag_controller', value, input));
    }
  }

  const removals: Readonly<Partial<Record<ResourceKind, PreCheckAction>>> = {
    block: 'remove_block',
    cluster: 'remove_cluster',
    vdag: 'remove_vdag_controller',
  };

  function isGuarded(tenant: string, kind: ResourceKind): boolean {
    const action = removals[kind];
    const clusterIds = inventory.clusters(tenant).map(({ spec }) => spec.id as string);
    return action !== undefined && admission.concerns({ tenant, action, clusterIds });
  }

  return {
    storeCluster,
    createPlan,
    async create(tenant, kind, raw, replace): Promise<Created> {
      const document = await parts.expand(tenant, kind, raw);
      switch (kind) {
        case 'cluster':
          return createCluster(tenant, document, replace);
        case 'block':
          return createBlock(tenant, document, replace);
        case 'vdag':
          return createVdag(tenant, document, replace);
        default:
          return registry.create(tenant, kind, document, { replace });
      }
    },
    async delete(tenant, kind, id) {
      if (isGuarded(tenant, kind)) await permitRemoval(tenant, kind, id);
      if (kind === 'block') {
        const deletion = { tenant, kind: 'block-deletion', id, type: 'put', value: {} } as const;
        await registry.remove(tenant, kind, id, [deletion]);
        await blocks.whenGone(tenant, id);
        return;
      }
      if (kind !== 'cluster') return registry.remove(tenant, kind, id);
      await registry.remove(tenant, kind, id, [
        { tenant, kind, id, type: 'delete' },
        { tenant, kind: 'cordon', id, type: 'delete' },
      ]);
      inventory.removeCluster(tenant, id);
      placement.ledgerOf(tenant).removeCluster(id);
    },
  };
}
