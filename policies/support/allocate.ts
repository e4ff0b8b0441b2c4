import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices, type Misfit, misfit, withInstance } from '../../sdk/fit.ts';
import type { Assignment, HookAnswer, HookInput } from '../../sdk/hooks.ts';
import { formatBytes, mebibyte } from '../../sdk/units.ts';

/** AIOS documents write numbers as text in nearly every example. */
const amount = z
  .union([
    z.number(),
    z
      .string()
      .trim()
      .regex(/^\d+(?:\.\d+)?$/)
      .transform(Number),
  ])
  .pipe(z.number().nonnegative());

/** What every built-in allocator asks of a node, under AIOS's names and in its units. */
export const allocatorParameters = z.strictObject({
  /** Conditions on nodes and devices; the platform applies them before this policy is asked. */
  filter: z.unknown().optional(),
  /** Devices of each instance that satisfy the two conditions below. */
  gpus: amount.optional(),
  /** 0 to 1; busier devices are passed over. */
  max_gpu_utilization: amount.optional(),
  /** MB (2^20 bytes); fuller devices are passed over. */
  min_gpu_free_memory: amount.optional(),
  /** Free cores of the node. */
  cpus: amount.optional(),
  /** MB (2^20 bytes) of free memory of the node. */
  min_memory_mb: amount.optional(),
});
export type AllocatorParameters = z.output<typeof allocatorParameters>;

/** The node with only the devices that the parameters allow. */
function usable(node: NodeSnapshot, parameters: AllocatorParameters): NodeSnapshot {
  const { max_gpu_utilization: utilization = 1, min_gpu_free_memory: freeMebibytes = 0 } =
    parameters;
  if (utilization >= 1 && freeMebibytes === 0) return node;
  return {
    ...node,
    gpus: node.gpus.filter(
      (device) =>
        device.utilizationFraction <= utilization &&
        device.freeMemoryBytes >= freeMebibytes * mebibyte,
    ),
  };
}

function refusal(node: NodeSnapshot, parameters: AllocatorParameters): Misfit | undefined {
  const { gpus, cpus, min_memory_mb: memoryMebibytes } = parameters;
  if (memoryMebibytes !== undefined && node.free.memoryBytes < memoryMebibytes * mebibyte) {
    return {
      refusedBy: `min_memory_mb: ${memoryMebibytes}`,
      seen: formatBytes(node.free.memoryBytes),
    };
  }
  if (cpus !== undefined && node.free.cpuCores < cpus) {
    return { refusedBy: `cpus: ${cpus}`, seen: String(node.free.cpuCores) };
  }
  if (gpus === undefined || node.gpus.length >= gpus) return undefined;
  const conditions = [`gpus: ${gpus}`];
  if (parameters.max_gpu_utilization !== undefined) {
    conditions.push(`max_gpu_utilization: ${parameters.max_gpu_utilization}`);
  }
  if (parameters.min_gpu_free_memory !== undefined) {
    conditions.push(`min_gpu_free_memory: ${parameters.min_gpu_free_memory}`);
  }
  return { refusedBy: conditions.join(', '), seen: `${node.gpus.length} such devices` };
}

interface Place {
  node: NodeSnapshot;
  score: number;
  chosen: number;
  misfit: Misfit | undefined;
}

/** Higher is better, then the smaller id: the order in which nodes are listed never matters. */
const beats = (a: Place, b: Place | undefined): boolean =>
  b === undefined || a.score > b.score || (a.score === b.score && a.node.id < b.node.id);

type Input = HookInput<'resourceAllocator'>;
type DryRun = HookAnswer<'resourceAllocator', 'dry_run'>;

function dryRun(
  { block, instances, nodes, nodePreferences }: Input,
  parameters: AllocatorParameters,
  rankAlone: (node: NodeSnapshot, ownInstances: number) => number,
): DryRun {
  // What the block prefers weighs as much as what the policy does: either alone decides among equals of the other.
  const rank = nodePreferences
    ? (node: NodeSnapshot, ownInstances: number): number =>
        (rankAlone(node, ownInstances) + ((nodePreferences[node.id] ?? 0) + 1) / 2) / 2
    : rankAlone;
  const own = new Map<string, number>();
  for (const { nodeId } of block.instances) own.set(nodeId, (own.get(nodeId) ?? 0) + 1);
  const places = nodes.map((given): Place => {
    const node = usable(given, parameters);
    // The platform asks only about nodes that hold an instance; without some of its devices a node may not any more.
    const fits = node === given ? undefined : misfit(node, block.resources);
    const refused = refusal(node, parameters) ?? fits;
    const score = refused ? 0 : rank(node, own.get(node.id) ?? 0);
    return { node, score, chosen: 0, misfit: refused };
  });

  const shown = places.map(({ node, score, misfit }) =>
    misfit ? { nodeId: node.id, ...misfit } : { nodeId: node.id, score },
  );
  const assignments: Assignment[] = [];
  const scores: number[] = [];
  while (assignments.length < instances) {
    let best: Place | undefined;
    for (const place of places) if (!place.misfit && beats(place, best)) best = place;
    if (!best) return { score: 0, assignments: [], nodes: shown };
    const devices = chooseDevices(best.node, block.resources);
    best.misfit = misfit(best.node, block.resources);
    if (!devices || best.misfit) continue;
    assignments.push({ nodeId: best.node.id, gpus: [...devices] });
    scores.push(best.score);
    best.chosen += 1;
    best.node = withInstance(best.node, block.resources, devices);
    best.misfit = misfit(best.node, block.resources);
    if (!best.misfit) best.score = rank(best.node, (own.get(best.node.id) ?? 0) + best.chosen);
  }
  const score = scores.reduce((sum, each) => sum + each, 0) / Math.max(1, scores.length);
  return { score: Math.min(1, Math.max(0, score)), assignments, nodes: shown };
}

/**
 * The part every allocator shares: refuse nodes that break the parameters, then put one instance after the other on the
 * node that ranks highest as it is by then. O(instances × nodes).
 *
 * @param rank - 0 to 1, higher is better; `ownInstances` counts this block's instances on the node, the ones of this
 * plan included
 */
export function allocate(
  input: Input,
  parameters: AllocatorParameters,
  rank: (node: NodeSnapshot, ownInstances: number) => number,
): DryRun | HookAnswer<'resourceAllocator', 'allocation'> {
  if (input.action === 'dry_run') return dryRun(input, parameters, rank);
  // The plan was scored by `dry_run` and is reserved already: nothing is left to object to.
  if (input.plan) return { accept: true };
  const { assignments } = dryRun(input, parameters, rank);
  return assignments.length === input.instances
    ? { accept: true, assignments }
    : {
        accept: false,
        reason: `cluster '${input.cluster.id}' has no room for ${input.instances} instances`,
      };
}
