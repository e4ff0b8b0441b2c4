import { PlacementError } from '../../sdk/errors.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import { besideOf } from './candidate-nodes.ts';
import type { ScoredCandidate } from './dry-run.ts';
import type { PlacementLedger } from './ledger.ts';
import { createNeighbourRules } from './neighbours.ts';

/**
 * Others may have been placed beside it while policies were asked.
 *
 * @throws {PlacementError} CAPACITY_LOST - a rule about other blocks holds no more
 */
export function assertApart(
  block: BlockView,
  { snapshot, plan }: Pick<ScoredCandidate, 'snapshot' | 'plan'>,
  ledger: PlacementLedger,
  tagsOf: (blockId: string) => readonly string[],
): void {
  const beside = besideOf(block);
  if (!beside) return;
  const placed = ledger
    .promised(snapshot.id)
    .map(({ blockId, nodeId }) => ({ blockId, nodeId, tags: tagsOf(blockId) }));
  const rules = createNeighbourRules(beside, snapshot.nodes, placed);
  const chosen = new Set(plan.instances.map(({ nodeId }) => nodeId));
  for (const node of snapshot.nodes) {
    const refused = chosen.has(node.id) ? rules.refuse(node) : undefined;
    if (!refused) continue;
    const { refusedBy, seen } = refused;
    throw new PlacementError(
      'CAPACITY_LOST',
      `node '${node.id}' was lost to another block: ${refusedBy}, seen ${seen}. Place it again.`,
    );
  }
}
