import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { withInstance } from '../../sdk/fit.ts';
import type { Assignment, BlockView, HookAnswer, HookInput } from '../../sdk/hooks.ts';
import { type AllocatorParameters, allocate } from './allocate.ts';

type Input = HookInput<'resourceAllocator'>;
type DryRun = HookAnswer<'resourceAllocator', 'dry_run'>;

/**
 * As `allocate`, for ranks that one instance changes on more nodes than its own: each instance is placed by itself, and the
 * next question knows of it. O(instances × nodes).
 *
 * @param rankWith - the rank of a node, 0 to 1, given the block with all its instances so far, the ones of this plan included
 */
export function allocateOneByOne(
  input: Input,
  parameters: AllocatorParameters,
  rankWith: (block: BlockView, nodes: readonly NodeSnapshot[]) => (node: NodeSnapshot) => number,
): ReturnType<typeof allocate> {
  let { block, nodes } = input;
  const ask = (instances: number): DryRun => {
    const question = { ...input, action: 'dry_run' as const, block, nodes, instances };
    return allocate(question, parameters, rankWith(block, nodes)) as DryRun;
  };
  // The plan is reserved already.
  if (input.action === 'allocation' && input.plan) return { accept: true };
  const first = ask(Math.min(1, input.instances));
  const assignments: Assignment[] = [];
  let sum = 0;
  for (let answer = first; assignments.length < input.instances; answer = ask(1)) {
    const [place] = answer.assignments;
    if (!place) {
      if (input.action === 'dry_run') return { ...first, score: 0, assignments: [] };
      const reason = `cluster '${input.cluster.id}' has no room for ${input.instances} instances`;
      return { accept: false, reason };
    }
    const { nodeId, gpus = [] } = place;
    assignments.push({ nodeId, gpus });
    sum += answer.score;
    if (assignments.length === input.instances) break;
    const taken = { id: '', clusterId: input.cluster.id, nodeId };
    block = { ...block, instances: [...block.instances, taken] };
    nodes = nodes.map((node) =>
      node.id === nodeId ? withInstance(node, block.resources, gpus) : node,
    );
  }
  if (input.action === 'allocation') return { accept: true, assignments };
  return { ...first, score: sum / Math.max(1, assignments.length), assignments };
}
