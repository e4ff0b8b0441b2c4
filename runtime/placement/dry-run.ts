import type { PlacementPlan } from '../../sdk/client/api.ts';
import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import { misfit } from '../../sdk/fit.ts';
import type { BlockView, HookOutput, PlanCandidate } from '../../sdk/hooks.ts';
import { freezeList } from '../policy/index.ts';
import type { DecisionDraft, NodeRow } from './decision.ts';
import type { PlacementLedger } from './ledger.ts';
import type { ClusterView } from './placement.ts';
import { toPlan } from './plan.ts';
import { explainShortage } from './shortage.ts';

export interface Candidate {
  readonly view: ClusterView;
  readonly snapshot: ClusterSnapshot;
}

/** A cluster that can hold the block, and how. */
export interface ScoredCandidate extends Candidate {
  readonly nodes: readonly NodeSnapshot[];
  readonly offer: PlanCandidate;
  readonly plan: PlacementPlan;
  readonly policyUri: string;
}

export interface DryRun {
  readonly block: BlockView;
  readonly instanceIds: readonly string[];
  readonly draft: DecisionDraft;
  readonly ledger: PlacementLedger;
  /** Asks the resource allocator; records the evaluation. */
  readonly ask: (
    candidate: Candidate,
    nodes: readonly NodeSnapshot[],
  ) => Promise<{
    readonly output: HookOutput<'resourceAllocator', 'dry_run'>;
    readonly policyUri: string;
  }>;
}

function refusedNode(node: NodeSnapshot, block: BlockView): NodeRow | undefined {
  if (!node.healthy) return { nodeId: node.id, refusedBy: 'healthy', seen: 'not ready' };
  const short = misfit(node, block.resources);
  return short && { nodeId: node.id, ...short };
}

/**
 * One cluster's turn: the platform refuses nodes by their free amounts, the policy scores the rest and names the places.
 * What is wrong with a cluster or its policy is written down; the other clusters are still asked.
 *
 * @returns nothing when the cluster is refused
 */
export async function dryRunCluster(
  run: DryRun,
  candidate: Candidate,
): Promise<ScoredCandidate | undefined> {
  const { block, instanceIds, draft, ledger } = run;
  const { snapshot } = candidate;
  const refused = new Map<string, NodeRow>();
  for (const node of snapshot.nodes) {
    const row = refusedNode(node, block);
    if (row) refused.set(node.id, row);
  }
  const table = (judged: readonly NodeRow[]): void =>
    draft.nodes(snapshot.id, { nodeIds: snapshot.nodes, refused, judged });
  const nodes =
    refused.size === 0
      ? snapshot.nodes
      : freezeList(snapshot.nodes.filter(({ id }) => !refused.has(id)));
  table([]);
  if (nodes.length === 0) {
    const short = explainShortage([snapshot], block.resources, instanceIds.length);
    draft.refuse(snapshot.id, short ?? { refusedBy: 'nodes >= 1', seen: '0' });
    return undefined;
  }

  try {
    const { output, policyUri } = await run.ask(candidate, nodes);
    table(output.nodes);
    if (output.assignments.length === 0) {
      const short = explainShortage([snapshot], block.resources, instanceIds.length);
      const places = `a place for ${instanceIds.length} instances from '${policyUri}'`;
      draft.refuse(snapshot.id, short ?? { refusedBy: places, seen: 'none' });
      return undefined;
    }
    const plan = toPlan(block.id, snapshot.id, output, block.resources, instanceIds);
    const short = ledger.shortage(plan);
    if (short) {
      const { nodeId, amount, wanted, free } = short;
      const refusedBy = `plan of '${policyUri}': ${amount} of node '${nodeId}' >= ${wanted}`;
      draft.refuse(snapshot.id, { refusedBy, seen: free });
      return undefined;
    }
    draft.score(snapshot.id, output.score);
    const { score, assignments } = output;
    const offer: PlanCandidate = { clusterId: snapshot.id, score, assignments };
    return { ...candidate, nodes, offer, plan, policyUri };
  } catch (fault) {
    const error = AiosError.from(fault);
    draft.refuse(snapshot.id, {
      refusedBy: `resourceAllocator: ${error.code}`,
      seen: error.message,
    });
    return undefined;
  }
}
