import { z } from 'zod';
import type { GpuSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices, type Misfit, misfit, withInstance } from '../../sdk/fit.ts';
import type { Assignment, HookAnswer, HookInput } from '../../sdk/hooks.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
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
  max_gpu_utilization: amount
    .refine((value) => value <= 1, 'must be a fraction of 1: 0.9 stands for 90 %')
    .optional(),
  /** MB (2^20 bytes); fuller devices are passed over. */
  min_gpu_free_memory: amount.optional(),
  /** Free cores of the node. */
  cpus: amount.optional(),
  /** MB (2^20 bytes) of free memory of the node. */
  min_memory_mb: amount.optional(),
});
export type AllocatorParameters = z.output<typeof allocatorParameters>;

/** The node with only the devices that the parameters allow; the node itself where they allow all. */
function usable(node: NodeSnapshot, parameters: AllocatorParameters): NodeSnapshot {
  const { max_gpu_utilization: utilization = 1, min_gpu_free_memory: freeMebibytes = 0 } =
    parameters;
  const freeBytes = freeMebibytes * mebibyte;
  const allows = (device: GpuSnapshot): boolean =>
    device.utilizationFraction <= utilization && device.freeMemoryBytes >= freeBytes;
  return node.gpus.every(allows) ? node : { ...node, gpus: node.gpus.filter(allows) };
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

type Input = HookInput<'resourceAllocator'>;
type DryRun = HookAnswer<'resourceAllocator', 'dry_run'>;
type Rank = (node: NodeSnapshot, ownInstances: number) => number;
/** `rank` of many nodes, none of which has an instance of the block. */
type RankAll = (nodes: readonly NodeSnapshot[]) => number[];

/** Of a node that is out of the question. Scores are 0 to 1. */
const out = -1;

/** Nodes as they are while instances are put on them, a score each. */
class Places {
  readonly scores: number[];
  /** Only of nodes that are not as they were given. */
  readonly #changed = new Map<number, NodeSnapshot>();
  readonly #given: readonly NodeSnapshot[];

  constructor(given: readonly NodeSnapshot[], scores: number[] = []) {
    this.#given = given;
    this.scores = scores;
  }

  node(at: number): NodeSnapshot {
    return this.#changed.get(at) ?? (this.#given[at] as NodeSnapshot);
  }

  change(at: number, node: NodeSnapshot, score: number): void {
    this.#changed.set(at, node);
    this.scores[at] = score;
  }

  /** Higher is better, then the smaller id: the order in which nodes are listed never matters. */
  best(): number | undefined {
    const { scores } = this;
    let best = -1;
    let most = out;
    for (let at = 0; at < scores.length; at += 1) {
      const score = scores[at] as number;
      if (score < most || score === out) continue;
      if (score === most && best >= 0 && this.node(best).id <= this.node(at).id) continue;
      best = at;
      most = score;
    }
    return best < 0 ? undefined : best;
  }
}

const clip = (score: number): number => Math.min(1, Math.max(0, score));

/** The usual case: one instance, nothing asked beside its amounts. */
function oneOf(
  nodes: readonly NodeSnapshot[],
  resources: ResourceAmounts,
  scores: number[],
): DryRun {
  let places = new Places(nodes, scores);
  for (let at = places.best(); at !== undefined; at = places.best()) {
    const node = places.node(at);
    const devices = misfit(node, resources) ? undefined : chooseDevices(node, resources);
    if (!devices) {
      // What was answered for a node stays, though it turned out to be full.
      if (places.scores === scores) places = new Places(nodes, [...scores]);
      places.change(at, node, out);
      continue;
    }
    const assignments = [{ nodeId: node.id, gpus: [...devices] }];
    return { score: clip(scores[at] as number), assignments, scores, nodes: [] };
  }
  return { score: 0, assignments: [], scores, nodes: [] };
}

function dryRun(
  { block, instances, nodes, nodePreferences }: Input,
  parameters: AllocatorParameters,
  rankAlone: Rank,
  rankAll: RankAll | undefined,
): DryRun {
  // What the block prefers weighs as much as what the policy does: either alone decides among equals of the other.
  const rank: Rank = nodePreferences
    ? (node, ownInstances) =>
        (rankAlone(node, ownInstances) + ((nodePreferences[node.id] ?? 0) + 1) / 2) / 2
    : rankAlone;
  const own = new Map<string, number>();
  for (const { nodeId } of block.instances) own.set(nodeId, (own.get(nodeId) ?? 0) + 1);
  const ownOn = own.size === 0 ? () => 0 : ({ id }: NodeSnapshot): number => own.get(id) ?? 0;
  const asksDevices =
    parameters.max_gpu_utilization !== undefined || parameters.min_gpu_free_memory !== undefined;
  const { gpus, cpus, min_memory_mb } = parameters;
  const asks = asksDevices || (gpus ?? cpus ?? min_memory_mb) !== undefined;

  if (rankAll && !asks && !nodePreferences && own.size === 0 && instances === 1) {
    return oneOf(nodes, block.resources, rankAll(nodes));
  }
  const places = new Places(nodes);
  const refused: { nodeId: string; refusedBy: string; seen: string }[] = [];
  for (let at = 0; at < nodes.length; at += 1) {
    const given = nodes[at] as NodeSnapshot;
    const node = asksDevices ? usable(given, parameters) : given;
    // The platform asks only about nodes that hold an instance; without some of its devices a node may not any more.
    const fits = node === given ? undefined : misfit(node, block.resources);
    const reason = asks ? (refusal(node, parameters) ?? fits) : undefined;
    if (reason) refused.push({ nodeId: node.id, ...reason });
    const score = reason ? out : rank(node, ownOn(node));
    places.scores.push(score);
    if (node !== given) places.change(at, node, score);
  }
  const answer = { scores: [...places.scores], nodes: refused };

  const assignments: Assignment[] = [];
  let sum = 0;
  while (assignments.length < instances) {
    const at = places.best();
    if (at === undefined) return { score: 0, assignments: [], ...answer };
    const node = places.node(at);
    const devices = chooseDevices(node, block.resources);
    if (!devices || misfit(node, block.resources)) {
      places.change(at, node, out);
      continue;
    }
    assignments.push({ nodeId: node.id, gpus: [...devices] });
    sum += places.scores[at] as number;
    if (assignments.length === instances) break;
    own.set(node.id, (own.get(node.id) ?? 0) + 1);
    const next = withInstance(node, block.resources, devices);
    const full = misfit(next, block.resources) !== undefined;
    places.change(at, next, full ? out : rank(next, own.get(node.id) ?? 0));
  }
  const score = sum / Math.max(1, assignments.length);
  return { score: clip(score), assignments, ...answer };
}

/**
 * The part every allocator shares: refuse nodes that break the parameters, then put one instance after the other on the
 * node that ranks highest as it is by then. O(instances × nodes). Every node is ranked, every time.
 *
 * @param rank - 0 to 1, higher is better; `ownInstances` counts this block's instances on the node, the ones of this
 * plan included
 * @param rankAll - the same of all nodes at once, over columns of numbers; worth it where clusters have thousands
 */
export function allocate(
  input: Input,
  parameters: AllocatorParameters,
  rank: Rank,
  rankAll?: RankAll,
): DryRun | HookAnswer<'resourceAllocator', 'allocation'> {
  if (input.action === 'dry_run') return dryRun(input, parameters, rank, rankAll);
  // The plan was scored by `dry_run` and is reserved already: nothing is left to object to.
  if (input.plan) return { accept: true };
  const { assignments } = dryRun(input, parameters, rank, rankAll);
  return assignments.length === input.instances
    ? { accept: true, assignments }
    : {
        accept: false,
        reason: `cluster '${input.cluster.id}' has no room for ${input.instances} instances`,
      };
}
