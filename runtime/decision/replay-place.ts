import type { Decision, PolicyEvaluation, ReplayedPlace } from '../../sdk/client/api.ts';
import type { PlanCandidate } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost, Replayed } from '../policy/index.ts';
import type { RecordedQuestion } from './decision-log.ts';

const dryRuns = new Set(['dry_run', 'scale', 'reassignment']);

export const isDryRun = ({ hook, action }: Pick<PolicyEvaluation, 'hook' | 'action'>): boolean =>
  hook === 'resourceAllocator' && dryRuns.has(action);

export interface PlaceQuestion {
  readonly tenant: string;
  readonly decision: Decision;
  /** Answers of now, by evaluation. */
  readonly answers: ReadonlyMap<number, Replayed>;
  readonly question: (evaluation: number) => Promise<RecordedQuestion>;
  readonly replay: PolicyHost['replay'];
  /** Configures the policy that chooses among clusters; absent: as recorded. */
  readonly chooser: Partial<PolicyReference> | undefined;
}

/** What each cluster is offered, by the answers of now or else as recorded. */
async function offersOf({ decision, answers, question }: PlaceQuestion) {
  const asked = new Map<string, (Pick<PlanCandidate, 'score' | 'assignments'> | undefined)[]>();
  for (const [at, evaluation] of decision.evaluations.entries()) {
    if (!isDryRun(evaluation)) continue;
    const { cluster } = (await question(at)).input as { readonly cluster: { readonly id: string } };
    const output = answers.has(at) ? answers.get(at)?.output : evaluation.output;
    const { score = 0, assignments = [] } = (output ?? {}) as Partial<PlanCandidate>;
    const said = assignments.length === 0 ? undefined : { score, assignments };
    asked.set(cluster.id, [...(asked.get(cluster.id) ?? []), said]);
  }
  const wanted = decision.plan?.instances.length ?? 1;
  return [...asked].flatMap(([clusterId, all]): readonly PlanCandidate[] => {
    // The last answer counts; where instances must be apart, the last ones together.
    const used = all.slice(all.at(-1)?.assignments.length === 1 ? -wanted : -1);
    const offers = used.filter((offer) => offer !== undefined);
    if (offers.length === 0 || offers.length < used.length) return [];
    const assignments = offers.flatMap((offer) => offer.assignments);
    const score = offers.reduce((sum, offer) => sum + offer.score, 0) / offers.length;
    return [{ clusterId, score, assignments }];
  });
}

/**
 * Where a placement would go: the cluster allocator of then chooses among the offers of now.
 *
 * @returns nothing where it would go nowhere
 */
export async function replayPlace(asked: PlaceQuestion): Promise<ReplayedPlace | undefined> {
  const { decision, tenant, question, replay, chooser } = asked;
  const at = decision.evaluations.findLastIndex(({ hook }) => hook === 'clusterAllocator');
  const evaluation = decision.evaluations[at];
  if (!evaluation) return undefined;
  const candidates = await offersOf(asked);
  if (candidates.length === 0) return undefined;
  const { input, state } = await question(at);
  const action = 'post_dry_run';
  const { block } = input as { readonly block: unknown };
  const { output } = await replay({
    ...{ tenant, state: state as never, evaluation: { ...evaluation, action } },
    input: { action, block, candidates },
    ...(chooser ? { with: chooser } : {}),
  });
  const chosen = (output as { readonly clusterId?: string } | undefined)?.clusterId;
  const offer = candidates.find(({ clusterId }) => clusterId === chosen);
  if (!offer) return undefined;
  const { clusterId, score, assignments } = offer;
  return { clusterId, score, nodeIds: assignments.map(({ nodeId }) => nodeId) };
}

export function recordedPlace({ plan }: Decision): ReplayedPlace | undefined {
  if (!plan) return undefined;
  const { clusterId, score, instances } = plan;
  return { clusterId, score, nodeIds: instances.map(({ nodeId }) => nodeId) };
}
