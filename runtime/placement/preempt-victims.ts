import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { Attempt, Placed } from './attempt.ts';
import { besideOf, candidateNodes } from './candidate-nodes.ts';
import type { Candidate, ScoredCandidate } from './dry-run.ts';
import { surveyNodes } from './node-survey.ts';
import { toPlan } from './plan.ts';
import {
  clusterWithout,
  fewestFirst,
  type PreemptionOption,
  preemptionOptions,
} from './preempt.ts';

function optionsOf(attempt: Attempt, candidate: Candidate): readonly PreemptionOption[] {
  const { block, parts, request, rulesOf, tagsOf } = attempt;
  const { ledger, priorityOf, startedAtMs } = { ...parts, priorityOf: parts.blockPriority };
  const { snapshot } = candidate;
  const survey = surveyNodes(rulesOf(candidate), ledger.cluster(snapshot.id), snapshot.nodes);
  const beside = besideOf(block);
  const placed = ledger
    .promised(snapshot.id)
    .map(({ blockId, nodeId }) => ({ blockId, nodeId, tags: tagsOf(blockId) }));
  const { nodes: roomy } = candidateNodes(rulesOf(candidate), survey, beside, placed);
  // There is room: whatever refused, it was not for want of it.
  if (roomy.length >= request.instances) return [];
  const preempting = {
    ...{ block, ledger, priorityOf, startedAtMs, rulesOf },
    ...{ tenant: request.tenant, instances: request.instances },
    allowed: candidateNodes(
      rulesOf(candidate),
      { ...survey, passing: snapshot.nodes },
      beside,
      placed,
    ).nodes,
  };
  return preemptionOptions(preempting, candidate, roomy);
}

/** Asks the allocator for places on the cluster as it will be. */
async function planOn(
  attempt: Attempt,
  { candidate, nodes }: PreemptionOption,
  record: (evaluation: PolicyEvaluation) => void,
): Promise<ScoredCandidate | undefined> {
  const { block, request } = attempt;
  const { view } = candidate;
  const snapshot = clusterWithout(candidate.snapshot, nodes);
  const places = { block, instances: request.instances, cluster: snapshot, nodes };
  const input = { action: 'dry_run', ...places } as const;
  const shared = view.spec.policies.resourceAllocator;
  const { output, policyUri } = await attempt.ask(
    ...(['resourceAllocator', 'dry_run', input, record, shared] as const),
  );
  if (output.assignments.length === 0) return undefined;
  const plan = toPlan(block.id, snapshot.id, output, block.resources, request.instanceIds);
  const { score, assignments } = output;
  const offer = { clusterId: snapshot.id, score, assignments };
  return { view, snapshot, nodes, offer, plan, policyUri };
}

/**
 * Where nothing is free, instances of lower priority may make room: a policy is shown which, and chooses or refuses. The
 * room is reserved before any of them ends.
 */
export async function preemptVictims(
  attempt: Attempt,
  reserve: boolean,
): Promise<Placed | undefined> {
  const { block, draft, parts, request } = attempt;
  const record = (evaluation: PolicyEvaluation): void => {
    draft.evaluations.push(evaluation);
  };
  if (request.reassigned) return undefined;
  const own = block.priority ?? 0;
  const anyLower = ({ snapshot }: Candidate): boolean =>
    parts.ledger
      .evictable(snapshot.id)
      .some(({ blockId }) => parts.blockPriority(request.tenant, blockId) < own);
  const options = fewestFirst(
    attempt.selected.filter(anyLower).flatMap((candidate) => optionsOf(attempt, candidate)),
  );
  if (options.length === 0) return undefined;
  const shown = options.map((option) => option.shown);
  const input = { action: 'preempt', block, instances: request.instances, options: shown } as const;
  const { output, policyUri } = await attempt.ask('preemption', 'preempt', input, record);
  if ('refused' in output) {
    draft.note(`'${policyUri}' ends nothing for it: ${output.refused}`);
    return undefined;
  }
  const option = options[output.option];
  const best = option && (await planOn(attempt, option, record));
  if (!option || !best) return undefined;
  const nodes = new Set(best.plan.instances.map(({ nodeId }) => nodeId));
  const used = option.shown.victims.filter(({ instanceId }) =>
    parts.ledger
      .evictable(best.snapshot.id)
      .some((entry) => entry.instanceId === instanceId && nodes.has(entry.nodeId)),
  );
  draft.score(best.snapshot.id, best.offer.score);
  return attempt.settle(
    best,
    reserve,
    used.map(({ instanceId }) => instanceId),
  );
}
