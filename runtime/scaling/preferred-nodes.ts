import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import { PolicyError, type Problem } from '../../sdk/errors.ts';
import type { Assignment } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';

/**
 * Nodes that an autoscaler would have its new instances on.
 *
 * @param cluster - where the block runs; unknown while nothing does: then names are not looked up
 * @throws {PolicyError} POLICY_OUTPUT_INVALID - a node that is not there, or devices: those the resource allocator chooses
 */
export function preferredNodes(
  assignments: readonly Assignment[] = [],
  cluster: ClusterSnapshot | undefined,
): readonly string[] {
  const ids = cluster?.nodes.map(({ id }) => id);
  const problems = assignments.flatMap(({ nodeId, gpus }, at): Problem[] => {
    const path = `$.assignments[${at}]`;
    const found: Problem[] = [];
    if (ids && !ids.includes(nodeId)) {
      const close = nearest(nodeId, ids);
      found.push({
        path: `${path}.nodeId`,
        message: `cluster '${cluster?.id}' has no node '${nodeId.slice(0, 80)}'`,
        ...(close === undefined ? {} : { nearest: close }),
      });
    }
    if (gpus.length > 0) {
      const message = 'must be empty: the resource allocator chooses devices on a node';
      found.push({ path: `${path}.gpus`, message, seen: JSON.stringify(gpus).slice(0, 80) });
    }
    return found;
  });
  const [first] = problems;
  if (first) {
    const more = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
    throw new PolicyError(
      'POLICY_OUTPUT_INVALID',
      `the autoscaler's answer at ${first.path}: ${first.message}${more}.`,
      { problems: problems.slice(0, 20) },
    );
  }
  return [...new Set(assignments.map(({ nodeId }) => nodeId))];
}
