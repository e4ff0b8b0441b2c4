import type { Amounts, NodeMeasurement } from '../../sdk/cluster.ts';
import type { ClusterSpec, NodeSpec } from '../../sdk/spec/cluster.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { createLoadCurve, measurement } from '../cluster/index.ts';
import type { ClusterView, Ledger } from '../placement/index.ts';
import type { Sample } from './report.ts';

/** How many instances a node's free amounts hold, by devices where the job has any. */
function roomOf(free: Amounts, { memoryBytes, cpuCores, gpus }: ResourceAmounts): number {
  const byMemory =
    memoryBytes > 0 ? Math.floor(free.memoryBytes / memoryBytes) : Number.MAX_SAFE_INTEGER;
  const byCores =
    cpuCores > 0 ? Math.floor((free.cpuCores + 1e-9) / cpuCores) : Number.MAX_SAFE_INTEGER;
  const [first] = gpus;
  if (!first) return Math.min(byMemory, byCores);
  const devices = free.gpus.filter((gpu) => gpu.memoryBytes >= first.memoryBytes).length;
  return Math.min(byMemory, byCores, Math.floor(devices / gpus.length));
}

const gpuBytes = ({
  gpus,
}: {
  readonly gpus: readonly { readonly memoryBytes: number }[];
}): number => gpus.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);

/** The simulated clusters: which nodes are healthy, what else they are busy with, and what is promised of them. */
export class SimulatedNetwork {
  readonly specs: readonly ClusterSpec[];
  readonly #seed: number;
  readonly #views = new Map<string, ClusterView>();
  revision = 0;

  constructor(specs: readonly ClusterSpec[], seed: number) {
    this.specs = specs;
    this.#seed = seed;
    for (const spec of specs) {
      const healthyNodes = new Set<string>(spec.nodes.map(({ id }) => id));
      this.#views.set(spec.id, { spec, healthyNodes, measured: new Map() });
    }
  }

  views(): readonly ClusterView[] {
    return [...this.#views.values()];
  }

  measure(atMs: number): void {
    this.revision += 1;
    for (const view of this.views()) {
      const measured = new Map(
        view.spec.nodes.map((node): [string, NodeMeasurement] => {
          const load = createLoadCurve(this.#seed, `${view.spec.id}/${node.id}`)(atMs);
          return [node.id, measurement(node, load, 0, atMs)];
        }),
      );
      this.#views.set(view.spec.id, { ...view, measured });
    }
  }

  setHealthy(clusterId: string, nodeId: string, healthy: boolean): void {
    const view = this.#views.get(clusterId);
    if (!view) return;
    const healthyNodes = new Set(view.healthyNodes);
    if (healthy) healthyNodes.add(nodeId);
    else healthyNodes.delete(nodeId);
    this.revision += 1;
    this.#views.set(clusterId, { ...view, healthyNodes });
  }

  /** @param largest - the job that fragmentation is about */
  sample(
    ledger: Ledger,
    largest: ResourceAmounts,
  ): Pick<Sample, 'memoryFraction' | 'cpuFraction' | 'gpuMemoryFraction' | 'fragmentation'> {
    const all = { memory: 0, cpu: 0, gpu: 0 };
    const left = { memory: 0, cpu: 0, gpu: 0 };
    let usable = 0;
    const add = (clusterId: string, node: NodeSpec): void => {
      const free = ledger.free(clusterId, node.id);
      all.memory += node.memoryBytes;
      all.cpu += node.cpuCores;
      all.gpu += gpuBytes(node);
      left.memory += free.memoryBytes;
      left.cpu += free.cpuCores;
      left.gpu += gpuBytes(free);
      const each = largest.gpus.length > 0 ? gpuBytes(largest) : largest.memoryBytes;
      usable += roomOf(free, largest) * each;
    };
    for (const { spec, healthyNodes } of this.views()) {
      for (const node of spec.nodes) if (healthyNodes.has(node.id)) add(spec.id, node);
    }
    const used = (total: number, free: number): number => (total === 0 ? 0 : 1 - free / total);
    const free = largest.gpus.length > 0 ? left.gpu : left.memory;
    return {
      memoryFraction: used(all.memory, left.memory),
      cpuFraction: used(all.cpu, left.cpu),
      gpuMemoryFraction: used(all.gpu, left.gpu),
      fragmentation: free === 0 ? 0 : Math.max(0, 1 - usable / free),
    };
  }
}

/** What is hardest to place: most device memory, then most memory. */
export function largestOf(
  jobs: readonly { readonly resources: ResourceAmounts }[],
): ResourceAmounts {
  const [largest] = [...jobs].sort(
    (a, b) =>
      gpuBytes(b.resources) - gpuBytes(a.resources) ||
      b.resources.memoryBytes - a.resources.memoryBytes,
  );
  return largest?.resources ?? { memoryBytes: 1, cpuCores: 0, gpus: [] };
}
