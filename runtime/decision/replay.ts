import type {
  Decision,
  PolicyEvaluation,
  Replay,
  ReplayedEvaluation,
  ReplayRequest,
  ReplaySide,
} from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import { policyUri } from '../../sdk/ids.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { type PolicyHost, type Replayed, recordedOutput } from '../policy/index.ts';
import { differences, sameJson } from './compare.ts';
import type { DecisionLog } from './decision-log.ts';
import { isDryRun, recordedPlace, replayPlace } from './replay-place.ts';

/** Errors whose words are not the same twice. */
const unsteady = new Set(['POLICY_TIMEOUT', 'POLICY_LIMIT_EXCEEDED', 'BUSY']);

function sameError(a: PolicyEvaluation['error'], b: PolicyEvaluation['error']): boolean {
  if (!a || !b) return a === b;
  return a.code === b.code && (unsteady.has(a.code) || a.message === b.message);
}

function sideOf(side: PolicyEvaluation | Replayed, output: unknown): ReplaySide {
  const { policyUri: uri, policyHash, parameters, settings, error, durationMs } = side;
  return {
    ...{ policyUri: uri, policyHash, parameters, settings, durationMs },
    ...(output === undefined ? {} : { output }),
    ...(error ? { error: { code: error.code, message: error.message } } : {}),
  };
}

function compare(at: number, evaluation: PolicyEvaluation, answer: Replayed): ReplayedEvaluation {
  const { hook, action, inputDigest, output } = evaluation;
  // As it would be written down: of many rows what tells most.
  const now = answer.output === undefined ? undefined : recordedOutput(answer.output);
  const steady = sameError(evaluation.error, answer.error);
  const errors = steady
    ? []
    : differences(
        evaluation.error && { error: evaluation.error },
        answer.error && { error: answer.error },
      );
  const { codeChanged, leftOut } = answer;
  return {
    ...{ evaluation: at, hook, action, inputDigest, codeChanged, leftOut },
    recorded: sideOf(evaluation, output),
    replayed: sideOf(answer, now),
    same: steady && sameJson(output, now),
    differences: [...differences(output, now), ...errors],
  };
}

function toReference(other: ReplayRequest['with']): Partial<PolicyReference> | undefined {
  if (!other) return undefined;
  const { policyRuleURI, parameters, settings } = other;
  return {
    ...(policyRuleURI === undefined ? {} : { policyRuleURI: policyUri(policyRuleURI) }),
    ...(parameters ? { parameters } : {}),
    ...(settings ? { settings } : {}),
  };
}

/** Which of the decision's evaluations are asked again. @param hook - of the other policy */
function choose(
  { evaluations, id }: Decision,
  { evaluation: only, with: other }: ReplayRequest,
  hook: string | undefined,
): readonly number[] {
  const all = [...evaluations.keys()];
  if (only !== undefined) {
    if (evaluations[only]) return [only];
    throw new AiosError(
      'NOT_FOUND',
      `decision '${id}' has ${all.length} evaluations, counted from 0; there is no ${only}.`,
    );
  }
  const chosen = all.filter((at) => hook === undefined || evaluations[at]?.hook === hook);
  if (chosen.length === 0 && hook !== undefined) {
    const asked = [...new Set(evaluations.map((each) => each.hook))].join(', ') || 'none';
    throw new AiosError(
      'REQUEST_INVALID',
      `'${other?.policyRuleURI}' is a policy of hook '${hook}', which decision '${id}' did not ask (it asked: ${asked}).`,
    );
  }
  const uris = new Set(chosen.map((at) => evaluations[at]?.policyUri));
  if (other && other.policyRuleURI === undefined && uris.size > 1) {
    throw new AiosError(
      'REQUEST_INVALID',
      `decision '${id}' asked ${[...uris].join(', ')}. Say which of its evaluations the parameters are for.`,
    );
  }
  return chosen;
}

/** Makes decisions again on what they were made on: exactly, or with another policy. */
export interface Replayer {
  /**
   * @throws {AiosError} NOT_FOUND; REQUEST_INVALID - the other policy is of a hook that was not asked; POLICY_NOT_FOUND,
   * URI_AMBIGUOUS, SPEC_INVALID - the other policy; STORE_CORRUPT - the input cannot be rebuilt
   */
  replay(tenant: string, decisionId: string, request?: ReplayRequest): Promise<Replay>;
}

export function createReplayer(
  log: Pick<DecisionLog, 'get' | 'question'>,
  policies: Pick<PolicyHost, 'replay' | 'hookOf'>,
): Replayer {
  return {
    async replay(tenant, decisionId, request = {}) {
      const decision = await log.get(tenant, decisionId);
      const { kind = 'placement', subject = `block/${decision.blockId}`, outcome } = decision;
      const reference = toReference(request.with);
      const uri = reference?.policyRuleURI;
      const hook = uri === undefined ? undefined : await policies.hookOf(tenant, uri);
      const chosen = choose(decision, request, hook);
      const answers = new Map<number, Replayed>();
      const skipped: { evaluation: number; why: string }[] = [];
      const evaluations: ReplayedEvaluation[] = [];
      const question = (at: number) => log.question(tenant, decisionId, at);
      for (const at of chosen) {
        const evaluation = decision.evaluations[at];
        if (!evaluation) continue;
        if (evaluation.error?.code === 'BUSY') {
          skipped.push({ evaluation: at, why: 'the policy was busy then and was not asked' });
          continue;
        }
        const { input, state } = await question(at);
        const answer = await policies.replay({
          ...{ tenant, evaluation, input, state: state as never },
          ...(reference ? { with: reference } : {}),
        });
        answers.set(at, answer);
        evaluations.push(compare(at, evaluation, answer));
      }
      const isPlacement = decision.evaluations.some(isDryRun);
      const chooser = hook === 'clusterAllocator' ? reference : undefined;
      const recorded = recordedPlace(decision);
      const replayed = isPlacement
        ? await replayPlace({
            ...{ tenant, decision, answers, question, chooser, replay: policies.replay },
          })
        : undefined;
      return {
        ...{ decisionId, kind, subject, outcome, evaluations, skipped },
        same: evaluations.length > 0 && evaluations.every((each) => each.same && !each.codeChanged),
        ...(recorded || replayed
          ? { place: { ...(recorded ? { recorded } : {}), ...(replayed ? { replayed } : {}) } }
          : {}),
      };
    },
  };
}
