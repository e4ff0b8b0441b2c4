import type { PlacementPlan } from '../../sdk/client/api.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { Attempt } from './attempt.ts';
import { compileNodeFilter } from './filter/index.ts';

/** What to tell of the preferences that say why they are there: whether each was met. */
export function preferenceNotes(
  { placement }: Pick<BlockView, 'placement'>,
  { clusterId, instances }: PlacementPlan,
  attempt: Pick<Attempt, 'clusters' | 'parts'> | undefined,
): readonly string[] {
  const preferred = placement?.nodeAffinity?.preferred.filter(({ reason }) => reason) ?? [];
  const view = attempt?.clusters.find(({ spec }) => spec.id === clusterId);
  if (preferred.length === 0 || !attempt || !view) return [];
  const taken = new Set(instances.map(({ nodeId }) => nodeId));
  const nodes = attempt.parts.snapshots.of(view).nodes.filter(({ id }) => taken.has(id));
  return preferred.map(({ filter, weight, reason }) => {
    const { passes } = compileNodeFilter(filter, '$.placement.nodeAffinity.preferred', 'node');
    const met = nodes.every((node) => passes(node) === weight > 0);
    return met ? `As preferred: ${reason}.` : `Elsewhere than preferred: ${reason}.`;
  });
}
