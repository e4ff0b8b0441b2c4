import type { PlacementPlan } from '../../sdk/client/api.ts';
import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { Assignment, BlockView, HookOutput, PlanCandidate } from '../../sdk/hooks.ts';
import { besideOf, type CandidateNodes, candidateNodes, repelsItself } from './candidate-nodes.ts';
import type { NodeTable } from './decision.ts';
import type { PlacementLedger } from './ledger.ts';
import type { NodeRules } from './node-rules.ts';
import { type NodeSurvey, surveyNodes } from './node-survey.ts';
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

/** What came out of one cluster's turn. */
export interface DryRunResult {
  readonly candidate: Candidate;
  readonly table?: NodeTable;
  readonly scored?: ScoredCandidate;
  readonly refused?: Misfit;
  /** The refusal is the policy's own: what it looked at may change its mind. */
  readonly byPolicy?: boolean;
}

type Answer = HookOutput<'resourceAllocator', 'dry_run'>;

export interface DryRun {
  readonly block: BlockView;
  readonly instanceIds: readonly string[];
  readonly ledger: PlacementLedger;
  /** A node that is out of the question. */
  readonly avoid?: string | undefined;
  readonly tagsOf: (blockId: string) => readonly string[];
  /** @throws {SpecError} FILTER_INVALID */
  readonly rulesOf: (candidate: Candidate) => NodeRules;
  /** Asks the resource allocator; records the evaluation. */
  readonly ask: (
    candidate: Candidate,
    instances: number,
    nodes: CandidateNodes,
  ) => Promise<{ readonly output: Answer; readonly policyUri: string }>;
}

interface Asked {
  readonly nodes: CandidateNodes;
  readonly output: Answer;
  readonly policyUri: string;
}

const placedOn = ({ ledger, tagsOf }: DryRun, clusterId: string) =>
  ledger
    .promised(clusterId)
    .map(({ blockId, nodeId }) => ({ blockId, nodeId, tags: tagsOf(blockId) }));

/** Nodes for one more instance, after those that have been given a place already. */
function nodesFor(
  run: DryRun,
  { snapshot }: Candidate,
  rules: NodeRules,
  survey: NodeSurvey,
  given: readonly Assignment[],
): CandidateNodes {
  const { block, avoid } = run;
  const beside = besideOf(block);
  if (!beside) return candidateNodes(rules, survey, undefined, [], avoid);
  const own = given.map(({ nodeId }) => ({ blockId: block.id, nodeId, tags: block.tags }));
  return candidateNodes(rules, survey, beside, [...placedOn(run, snapshot.id), ...own], avoid);
}

/** All at once; one by one where instances must be apart, since each changes where the next may go. */
async function askAll(
  run: DryRun,
  candidate: Candidate,
  rules: NodeRules,
  survey: NodeSurvey,
  first: CandidateNodes,
): Promise<Asked> {
  const { block, instanceIds } = run;
  const count = instanceIds.length;
  if (count === 1 || !repelsItself(block)) {
    return { nodes: first, ...(await run.ask(candidate, count, first)) };
  }
  const assignments: Assignment[] = [];
  let sum = 0;
  let asked = { nodes: first, ...(await run.ask(candidate, 1, first)) };
  const shown = asked;
  for (;;) {
    const { output } = asked;
    if (output.assignments.length === 0) {
      return { ...shown, output: { ...shown.output, score: 0, assignments: [] } };
    }
    assignments.push(...output.assignments);
    sum += output.score;
    if (assignments.length === count) break;
    const nodes = nodesFor(run, candidate, rules, survey, assignments);
    asked =
      nodes.nodes.length === 0
        ? { ...shown, output: { ...shown.output, assignments: [] } }
        : { nodes, ...(await run.ask(candidate, 1, nodes)) };
  }
  return { ...shown, output: { ...shown.output, score: sum / count, assignments } };
}

/**
 * One cluster's turn: the platform refuses nodes by their free amounts and the block's rules, the policy scores the rest
 * and names the places. What is wrong with a cluster or its policy is its own refusal; the other clusters are still asked.
 */
export async function dryRunCluster(run: DryRun, candidate: Candidate): Promise<DryRunResult> {
  const { block, instanceIds, ledger } = run;
  const { snapshot } = candidate;
  const short = (): Misfit | undefined =>
    explainShortage([snapshot], block.resources, instanceIds.length);
  try {
    const rules = run.rulesOf(candidate);
    const survey = surveyNodes(rules, ledger.cluster(snapshot.id), snapshot.nodes);
    const first = nodesFor(run, candidate, rules, survey, []);
    const before = { survey, apart: first.apart, asked: first.nodes };
    if (first.nodes.length === 0) {
      const refused = short() ?? { refusedBy: 'nodes >= 1', seen: '0' };
      return { candidate, refused, table: { ...before, asked: [], rows: [] } };
    }
    try {
      const { output, policyUri, nodes } = await askAll(run, candidate, rules, survey, first);
      const table = { ...before, scores: output.scores, rows: output.nodes };
      if (output.assignments.length === 0) {
        const places = `a place for ${instanceIds.length} instances from '${policyUri}'`;
        const amount = short();
        const refused = amount ?? { refusedBy: places, seen: 'none' };
        return { candidate, refused, table, byPolicy: !amount };
      }
      const plan = toPlan(block.id, snapshot.id, output, block.resources, instanceIds);
      const lost = ledger.shortage(plan);
      if (lost) {
        const { nodeId, amount, wanted, free } = lost;
        const refusedBy = `plan of '${policyUri}': ${amount} of node '${nodeId}' >= ${wanted}`;
        return { candidate, refused: { refusedBy, seen: free }, table, byPolicy: true };
      }
      const { score, assignments } = output;
      const offer: PlanCandidate = { clusterId: snapshot.id, score, assignments };
      const scored = { ...candidate, nodes: nodes.nodes, offer, plan, policyUri };
      return { candidate, scored, table };
    } catch (fault) {
      return { candidate, ...faulty(fault), table: { ...before, rows: [] } };
    }
  } catch (fault) {
    return { candidate, ...faulty(fault) };
  }
}

function faulty(fault: unknown) {
  const error = AiosError.from(fault);
  const refused = { refusedBy: `resourceAllocator: ${error.code}`, seen: error.message };
  return { refused, byPolicy: true };
}
