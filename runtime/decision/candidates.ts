import type { CandidateExplanation } from '../../sdk/client/api.ts';
import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { type PlacementContext, type PolicyRows, recomputeCandidates } from '../placement/index.ts';
import type { PolicyHost } from '../policy/index.ts';
import type { DecisionLog } from './decision-log.ts';
import { isDryRun } from './replay-place.ts';

/**
 * Every candidate of a decision, also where the log keeps only the telling ones: the platform's rules run again over the
 * recorded inventory, and the policies are asked again.
 *
 * @throws {AiosError} NOT_FOUND - no such decision, or nothing was kept of what it was made on; STORE_CORRUPT
 */
export async function allCandidates(
  log: Pick<DecisionLog, 'get' | 'question' | 'context'>,
  policies: Pick<PolicyHost, 'replay'>,
  tenant: string,
  id: string,
): Promise<readonly CandidateExplanation[]> {
  const decision = await log.get(tenant, id);
  const { candidates, candidateCounts, evaluations, plan } = decision;
  if (!candidateCounts) return candidates;
  const context = (await log.context(tenant, id)) as PlacementContext;
  const rows = new Map<string, PolicyRows>();
  for (const [at, evaluation] of evaluations.entries()) {
    if (!isDryRun(evaluation) || evaluation.error) continue;
    const { input, state } = await log.question(tenant, id, at);
    const asked = input as {
      readonly cluster: ClusterSnapshot;
      readonly nodes: readonly NodeSnapshot[];
    };
    // Where instances are placed one by one, the first question is about every node.
    if ((rows.get(asked.cluster.id)?.asked.length ?? 0) >= asked.nodes.length) continue;
    const { output } = await policies.replay({ tenant, evaluation, input, state: state as never });
    rows.set(asked.cluster.id, {
      asked: asked.nodes,
      output: (output ?? {}) as PolicyRows['output'],
    });
  }
  const chosenNodes = new Set(plan?.instances.map(({ nodeId }) => nodeId));
  return recomputeCandidates(
    context,
    rows,
    (clusterId, nodeId) =>
      plan?.clusterId === clusterId && (nodeId === undefined || chosenNodes.has(nodeId)),
  );
}
