import type { NodeMeasurement } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import type { ClusterView } from '../placement/placement.ts';

export interface InventoryOptions {
  /** By `ClusterSpec.backend`. */
  readonly backends: ReadonlyMap<string, ClusterBackend>;
  /** @default 2000 */
  readonly measureIntervalMs?: number;
  readonly log: (line: string) => void;
}

/** The clusters as they are: what is declared, and what was last measured. */
export interface Inventory {
  setCluster(cluster: ClusterSpec): void;
  removeCluster(clusterId: string): void;
  cluster(clusterId: string): ClusterView | undefined;
  clusters(): readonly ClusterView[];
  /** Grows with every change of what placement would see. */
  readonly revision: number;
  /** What is promised has changed. */
  touch(): void;
  /** Measures every cluster now. One that cannot be measured keeps its last measurement. */
  measure(): Promise<void>;
  close(): Promise<void>;
}

export function createInventory(options: InventoryOptions): Inventory {
  const { backends, log, measureIntervalMs = 2000 } = options;
  const specs = new Map<string, ClusterSpec>();
  const measurements = new Map<string, ReadonlyMap<string, NodeMeasurement>>();
  let revision = 0;
  let running: Promise<void> | undefined;

  const view = (spec: ClusterSpec): ClusterView => ({
    spec,
    healthyNodes: new Set(spec.nodes.map(({ id }) => id)),
    measured: measurements.get(spec.id) ?? new Map(),
  });

  async function measureOne(spec: ClusterSpec): Promise<void> {
    try {
      const measured = await backends.get(spec.backend)?.measure(spec);
      // It may have been removed meanwhile.
      if (measured && specs.has(spec.id)) measurements.set(spec.id, measured);
    } catch (error) {
      log(`cluster '${spec.id}' could not be measured: ${AiosError.from(error).message}`);
    }
  }

  function measure(): Promise<void> {
    running ??= Promise.all([...specs.values()].map(measureOne)).then(() => {
      revision += 1;
      running = undefined;
    });
    return running;
  }

  const timer = setInterval(() => void measure(), measureIntervalMs).unref();

  return {
    setCluster(cluster) {
      specs.set(cluster.id, cluster);
      revision += 1;
    },
    removeCluster(clusterId) {
      specs.delete(clusterId);
      measurements.delete(clusterId);
      revision += 1;
    },
    cluster(clusterId) {
      const spec = specs.get(clusterId);
      return spec && view(spec);
    },
    clusters: () => [...specs.values()].map(view),
    get revision() {
      return revision;
    },
    touch() {
      revision += 1;
    },
    measure,
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
