import type { GpuSnapshot, NodeSnapshot } from './cluster.ts';
import { memoFrozen } from './memo.ts';
import type { ResourceAmounts } from './spec/common.ts';
import { formatBytes } from './units.ts';

/** Why a node cannot hold an instance: the condition, and the value seen where it looked. */
export interface Misfit {
  readonly refusedBy: string;
  readonly seen: string;
}

type GpuRequest = ResourceAmounts['gpus'][number];

const none: ReadonlySet<number> = new Set();

const holds = (device: GpuSnapshot, request: GpuRequest): boolean =>
  !device.exclusive &&
  device.freeMemoryBytes >= request.memoryBytes &&
  (!request.exclusive || device.sharedBy === 0);

/** The largest free memory of one device that may be shared, and of one that nobody has a share of. */
const largestFree = memoFrozen((devices: readonly GpuSnapshot[]) => {
  let shared = -1;
  let alone = -1;
  for (const { exclusive, freeMemoryBytes, sharedBy } of devices) {
    if (exclusive) continue;
    if (freeMemoryBytes > shared) shared = freeMemoryBytes;
    if (sharedBy === 0 && freeMemoryBytes > alone) alone = freeMemoryBytes;
  }
  return { shared, alone };
});

/** The smallest device that holds it, so that large ones stay whole; the emptiest where others follow. */
function pick(
  devices: readonly GpuSnapshot[],
  taken: ReadonlySet<number>,
  request: GpuRequest,
  emptiest: boolean,
): GpuSnapshot | undefined {
  let best: GpuSnapshot | undefined;
  for (const device of devices) {
    if (taken.has(device.index) || !holds(device, request)) continue;
    const better =
      best === undefined ||
      (emptiest
        ? device.freeMemoryBytes > best.freeMemoryBytes
        : device.freeMemoryBytes < best.freeMemoryBytes);
    if (better) best = device;
  }
  return best;
}

/**
 * Chooses a device of its own for each GPU that an instance asks for.
 *
 * Exclusive requests go first and take the smallest free device; of several shares, the largest takes the emptiest
 * device. This finds a choice whenever there is one, and lets the most instances follow.
 *
 * @returns device indices in the order of `resources.gpus`; nothing when the node cannot hold them all
 */
export function chooseDevices(
  node: NodeSnapshot,
  resources: ResourceAmounts,
): readonly number[] | undefined {
  const { gpus } = resources;
  const [first] = gpus;
  if (!first) return [];
  if (gpus.length > node.gpus.length) return undefined;
  if (gpus.length === 1) {
    const device = pick(node.gpus, none, first, false);
    return device && [device.index];
  }
  const taken = new Set<number>();
  const order = gpus
    .map((request, position) => ({ request, position }))
    .sort(
      (a, b) =>
        Number(b.request.exclusive) - Number(a.request.exclusive) ||
        b.request.memoryBytes - a.request.memoryBytes,
    );
  const chosen = new Array<number>(gpus.length);
  for (const { request, position } of order) {
    const device = pick(node.gpus, taken, request, !request.exclusive);
    if (!device) return undefined;
    taken.add(device.index);
    chosen[position] = device.index;
  }
  return chosen;
}

function devicesFit(node: NodeSnapshot, resources: ResourceAmounts): boolean {
  const [only, ...others] = resources.gpus;
  if (!only) return true;
  if (others.length > 0) return chooseDevices(node, resources) !== undefined;
  const { shared, alone } = largestFree(node.gpus);
  return (only.exclusive ? alone : shared) >= only.memoryBytes;
}

function gpuMisfit(node: NodeSnapshot, { gpus }: ResourceAmounts): Misfit | undefined {
  let smallest = Number.POSITIVE_INFINITY;
  let largest = 0;
  for (const { memoryBytes } of gpus) {
    smallest = Math.min(smallest, memoryBytes);
    largest = Math.max(largest, memoryBytes);
  }
  const exclusive = gpus.some((request) => request.exclusive);
  const usable = node.gpus.filter((device) =>
    holds(device, { memoryBytes: smallest, exclusive: false }),
  );
  const free = usable.map((device) => device.freeMemoryBytes);
  return {
    refusedBy: `free.gpus >= ${gpus.length} of ${formatBytes(largest)}${exclusive ? ', exclusive' : ''}`,
    seen:
      node.gpus.length === 0
        ? 'no GPU'
        : `${usable.length} of ${node.gpus.length}${free.length > 0 ? `, largest free ${formatBytes(Math.max(...free))}` : ''}`,
  };
}

/** @returns nothing when the node has room for one more instance, or the first amount that is short */
export function misfit(node: NodeSnapshot, resources: ResourceAmounts): Misfit | undefined {
  if (node.free.memoryBytes < resources.memoryBytes) {
    return {
      refusedBy: `free.memoryBytes >= ${formatBytes(resources.memoryBytes)}`,
      seen: formatBytes(node.free.memoryBytes),
    };
  }
  if (node.free.cpuCores < resources.cpuCores) {
    return {
      refusedBy: `free.cpuCores >= ${resources.cpuCores}`,
      seen: String(node.free.cpuCores),
    };
  }
  return devicesFit(node, resources) ? undefined : gpuMisfit(node, resources);
}

/** @returns the node as it will be once an instance on these devices is promised to it; the given one is not changed */
export function withInstance(
  node: NodeSnapshot,
  resources: ResourceAmounts,
  devices: readonly number[],
): NodeSnapshot {
  const requested = new Map(devices.map((index, position) => [index, resources.gpus[position]]));
  const gpus = node.gpus.map((device): GpuSnapshot => {
    const request = requested.get(device.index);
    if (!request) return device;
    return {
      ...device,
      freeMemoryBytes: request.exclusive ? 0 : device.freeMemoryBytes - request.memoryBytes,
      sharedBy: device.sharedBy + 1,
      exclusive: request.exclusive,
    };
  });
  return {
    ...node,
    gpus,
    instances: node.instances + 1,
    free: {
      memoryBytes: node.free.memoryBytes - resources.memoryBytes,
      // Promises are kept in millionths of a core; decimals would drift.
      cpuCores: Math.round((node.free.cpuCores - resources.cpuCores) * 1e6) / 1e6,
      gpus: gpus.map((device) => ({ index: device.index, memoryBytes: device.freeMemoryBytes })),
    },
  };
}
