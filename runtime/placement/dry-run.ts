import type { PlacementPlan } from '../../sdk/client/api.ts';
import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { BlockView, HookOutput, PlanCandidate } from '../../sdk/hooks.ts';
import { freezeList } from '../policy/index.ts';
import type { DecisionDraft, NodeRow } from './decision.ts';
import type { PlacementLedger } from './ledger.ts';
import type { NodeRules } from './node-rules.ts';
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
  /** @throws {SpecError} FILTER_INVALID */
  readonly rulesOf: (candidate: Candidate) => NodeRules;
  /** Asks the resource allocator; records the evaluation. */
  readonly ask: (
    candidate: Candidate,
    nodes: readonly NodeSnapshot[],
    nodePreferences: Readonly<Record<string, number>> | undefined,
  ) => Promise<{
    readonly output: HookOutput<'resourceAllocator', 'dry_run'>;
    readonly policyUri: string;
  }>;
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
  const rules = run.rulesOf(candidate);
  const passing: NodeSnapshot[] = [];
  let same = true;
  for (const node of snapshot.nodes) {
    const short = rules.refuse(node);
    if (short) {
      refused.set(node.id, { nodeId: node.id, ...short });
      continue;
    }
    const view = rules.view(node);
    same &&= view === node;
    passing.push(view);
  }
  const table = (judged: readonly NodeRow[]): void =>
    draft.nodes(snapshot.id, { nodeIds: snapshot.nodes, refused, judged });
  const nodes = refused.size === 0 && same ? snapshot.nodes : freezeList(passing);
  table([]);
  if (nodes.length === 0) {
    const short = explainShortage([snapshot], block.resources, instanceIds.length);
    draft.refuse(snapshot.id, short ?? { refusedBy: 'nodes >= 1', seen: '0' });
    return undefined;
  }

  try {
    const { output, policyUri } = await run.ask(candidate, nodes, rules.preferences(nodes));
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
