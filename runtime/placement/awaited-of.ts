import { createHash } from 'node:crypto';
import type { Attempt } from './attempt.ts';
import type { Awaited } from './awaited.ts';
import { surveyNodes } from './node-survey.ts';
import type { ClusterView } from './placement.ts';

/** What the platform's own rules make of a cluster: the condition that refuses it, or the nodes that they let through. */
export function verdictOf(attempt: Attempt, view: ClusterView): string {
  const refused = attempt.refusal(view);
  if (refused) return `refused: ${refused.refusedBy}`;
  const { ledger, snapshots } = attempt.parts;
  const account = ledger.cluster(view.spec.id);
  const { nodes } = snapshots.of(view);
  const { passing } = surveyNodes(attempt.rulesOf({ view }), account, nodes);
  const hash = createHash('sha256');
  for (const { id } of passing) hash.update(id).update('\0');
  return `passing: ${passing.length} ${hash.digest('base64url')}`;
}

/** What a refusal went by. */
export function awaitedOf(attempt: Attempt): Awaited {
  const { block, request, clusters, rooms } = attempt;
  const { filter } = request.policies.clusterAllocator?.parameters ?? {};
  const read = clusters.map((view) => {
    const { spec, healthyNodes, measured } = view;
    const found = { spec, healthyNodes, measured, roomRevision: rooms.get(spec.id) ?? 0 };
    return [spec.id, { ...found, verdict: verdictOf(attempt, view) }] as const;
  });
  const readsMeasured =
    (filter !== undefined && JSON.stringify(filter).includes('etrics')) ||
    clusters.some((view) => attempt.rulesOf({ view }).readsMeasured);
  // A device's measured free memory may let a second instance in where one already fits.
  const several = request.instances > 1 && block.resources.gpus.length > 0;
  return { clusters: new Map(read), readsMeasured, byPolicy: attempt.byPolicy || several };
}
