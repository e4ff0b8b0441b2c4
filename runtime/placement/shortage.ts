import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices, type Misfit } from '../../sdk/fit.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { formatBytes } from '../../sdk/units.ts';
import { countRoom } from './plan.ts';

/** A sentence without its subject: what is short, the most there is, what to change. */
interface Shortage extends Misfit {
  readonly sentence: string;
}

interface Located {
  readonly cluster: ClusterSnapshot;
  readonly node: NodeSnapshot;
}

const where = ({ cluster, node }: Located): string => `'${node.id}' of cluster '${cluster.id}'`;

function largest(
  nodes: readonly Located[],
  amount: (node: NodeSnapshot) => number,
): Located | undefined {
  let best: Located | undefined;
  for (const located of nodes) {
    if (!best || amount(located.node) > amount(best.node)) best = located;
  }
  return best;
}

const largestDeviceBytes = (node: NodeSnapshot): number =>
  node.gpus.reduce((most, gpu) => Math.max(most, gpu.freeMemoryBytes), 0);

function amountShortage(nodes: readonly Located[], wanted: ResourceAmounts): Shortage | undefined {
  const memory = largest(nodes, (node) => node.free.memoryBytes);
  if (memory && memory.node.free.memoryBytes < wanted.memoryBytes) {
    const needed = formatBytes(wanted.memoryBytes);
    const free = formatBytes(memory.node.free.memoryBytes);
    return {
      refusedBy: `free.memoryBytes >= ${needed}`,
      seen: `largest ${free} (${memory.node.id})`,
      sentence: `no node fits ${needed} of memory (largest free: ${where(memory)}, ${free}). Lower resources.memoryBytes, add a node, or delete a block`,
    };
  }
  const cores = largest(nodes, (node) => node.free.cpuCores);
  if (cores && cores.node.free.cpuCores < wanted.cpuCores) {
    const free = cores.node.free.cpuCores;
    return {
      refusedBy: `free.cpuCores >= ${wanted.cpuCores}`,
      seen: `largest ${free} (${cores.node.id})`,
      sentence: `no node fits ${wanted.cpuCores} cores (largest free: ${where(cores)}, ${free}). Lower resources.cpuCores, add a node, or delete a block`,
    };
  }
  if (!nodes.some(({ node }) => chooseDevices(node, wanted))) {
    const needed = wanted.gpus
      .map((gpu) => `${formatBytes(gpu.memoryBytes)}${gpu.exclusive ? ' exclusive' : ''}`)
      .join(' + ');
    const best = largest(nodes, largestDeviceBytes);
    const free = formatBytes(best ? largestDeviceBytes(best.node) : 0);
    return {
      refusedBy: `free.gpus >= ${needed}`,
      seen: `largest ${free}${best ? ` (${best.node.id})` : ''}`,
      sentence: `no node fits ${wanted.gpus.length} GPUs of ${needed} (largest free share: ${best ? where(best) : 'none'}, ${free}). Lower resources.gpus, add a node, or delete a block`,
    };
  }
  return undefined;
}

/** Why `instances` have no room in these clusters together; nothing when they have. */
export function explainShortage(
  clusters: readonly ClusterSnapshot[],
  wanted: ResourceAmounts,
  instances: number,
): Shortage | undefined {
  const nodes = clusters.flatMap((cluster) =>
    cluster.nodes.filter((node) => node.healthy).map((node): Located => ({ cluster, node })),
  );
  if (nodes.length === 0) {
    const named = clusters.map((cluster) => `'${cluster.id}'`).join(', ');
    return {
      refusedBy: 'healthy nodes >= 1',
      seen: '0',
      sentence: `no node of cluster ${named} is healthy. Add a node, or wait until one is`,
    };
  }
  const short = amountShortage(nodes, wanted);
  if (short) return short;
  const rooms = clusters.map((cluster) =>
    countRoom(
      cluster.nodes.filter((node) => node.healthy),
      wanted,
      instances,
    ),
  );
  const most = Math.max(...rooms);
  if (most >= instances) return undefined;
  const roomiest = clusters[rooms.indexOf(most)]?.id;
  return {
    refusedBy: `room for ${instances} instances`,
    seen: String(most),
    sentence:
      most === 0
        ? 'no node has memory, cores and GPUs for one instance at once. Lower what an instance needs, add a node, or delete a block'
        : `only ${most} of ${instances} instances fit on one cluster at once (cluster '${roomiest}'). Lower minInstances or what an instance needs, add a node, or delete a block`,
  };
}
