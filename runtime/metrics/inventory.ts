import type { NodeMeasurement } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import type { ClusterView } from '../placement/placement.ts';
import { withSpeeds } from './node-speeds.ts';

export interface InventoryOptions {
  /** By `ClusterSpec.backend`. */
  readonly backends: ReadonlyMap<string, ClusterBackend>;
  /** What shards told of a node: bytes of weights a second. @default nothing */
  readonly speedOf?: (tenant: string, clusterId: string, nodeId: string) => number | undefined;
  /** @default 2000 */
  readonly measureIntervalMs?: number;
  /** Told after every round of measuring. */
  readonly onMeasured?: () => void;
  readonly log: (line: string) => void;
}

/** The clusters of each tenant as they are: what is declared, and what was last measured. */
export interface Inventory {
  setCluster(tenant: string, cluster: ClusterSpec): void;
  removeCluster(tenant: string, clusterId: string): void;
  /** The same object until something about the cluster changes. */
  cluster(tenant: string, clusterId: string): ClusterView | undefined;
  clusters(tenant: string): readonly ClusterView[];
  /** These nodes take no new instances until the next call; the others of the cluster do. */
  cordon(tenant: string, clusterId: string, nodeIds: readonly string[]): void;
  cordoned(tenant: string, clusterId: string): readonly string[];
  /** Those that have, or had, a cluster. */
  tenants(): readonly string[];
  /** Grows with every change of what placement would see. */
  readonly revision: number;
  /** What is promised has changed. */
  touch(): void;
  /** Measures every cluster that is there now. One that cannot be measured keeps its last measurement. */
  measure(): Promise<void>;
  close(): Promise<void>;
}

function viewOf(
  spec: ClusterSpec,
  measured: ReadonlyMap<string, NodeMeasurement>,
  cordoned: readonly string[] = [],
): ClusterView {
  const ids = spec.nodes.map(({ id }) => id).filter((id) => !cordoned.includes(id));
  return { spec, healthyNodes: new Set(ids), measured };
}

export function createInventory(options: InventoryOptions): Inventory {
  const { backends, log, measureIntervalMs = 2000 } = options;
  const tenants = new Map<string, Map<string, ClusterView>>();
  const cordons = new Map<string, readonly string[]>();
  let revision = 0;
  let running: Promise<void> | undefined;
  let closed = false;

  const cordonKey = (tenant: string, clusterId: string) => JSON.stringify([tenant, clusterId]);
  const cordonedOf = (tenant: string, clusterId: string): readonly string[] =>
    cordons.get(cordonKey(tenant, clusterId)) ?? [];

  async function measureOne(tenant: string, spec: ClusterSpec): Promise<void> {
    try {
      const measured = await backends.get(spec.backend)?.measure(tenant, spec);
      const views = tenants.get(tenant);
      // It may have been removed or replaced meanwhile.
      if (measured && views?.get(spec.id)?.spec === spec) {
        const speedOf = (nodeId: string) => options.speedOf?.(tenant, spec.id, nodeId);
        const known = withSpeeds(measured, speedOf);
        views.set(spec.id, viewOf(spec, known, cordonedOf(tenant, spec.id)));
      }
    } catch (error) {
      log(`cluster '${spec.id}' could not be measured: ${AiosError.from(error).message}`);
    }
  }

  async function measureAll(): Promise<void> {
    const all = [...tenants].flatMap(([tenant, views]) =>
      [...views.values()].map(({ spec }) => measureOne(tenant, spec)),
    );
    await Promise.all(all);
    revision += 1;
    options.onMeasured?.();
  }

  function measure(): Promise<void> {
    // One that is under way may have begun before the cluster that the caller asks for was there.
    const mine: Promise<void> = (running ?? Promise.resolve()).then(measureAll).finally(() => {
      if (running === mine) running = undefined;
    });
    running = mine;
    return mine;
  }

  const timer = setInterval(() => {
    if (!running && !closed) void measure();
  }, measureIntervalMs).unref();

  return {
    setCluster(tenant, cluster) {
      const views = tenants.get(tenant) ?? new Map<string, ClusterView>();
      tenants.set(tenant, views);
      const measured = views.get(cluster.id)?.measured ?? new Map();
      views.set(cluster.id, viewOf(cluster, measured, cordonedOf(tenant, cluster.id)));
      revision += 1;
    },
    removeCluster(tenant, clusterId) {
      tenants.get(tenant)?.delete(clusterId);
      cordons.delete(cordonKey(tenant, clusterId));
      revision += 1;
    },
    cluster: (tenant, clusterId) => tenants.get(tenant)?.get(clusterId),
    clusters: (tenant) => [...(tenants.get(tenant)?.values() ?? [])],
    cordon(tenant, clusterId, nodeIds) {
      const view = tenants.get(tenant)?.get(clusterId);
      if (!view) return;
      cordons.set(cordonKey(tenant, clusterId), nodeIds);
      tenants.get(tenant)?.set(clusterId, viewOf(view.spec, view.measured, nodeIds));
      revision += 1;
    },
    cordoned: cordonedOf,
    tenants: () => [...tenants.keys()],
    get revision() {
      return revision;
    },
    touch() {
      revision += 1;
    },
    measure,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
