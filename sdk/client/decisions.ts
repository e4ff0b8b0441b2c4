import { apiPrefix } from './api.ts';
import type {
  CandidateExplanation,
  Decision,
  DecisionFilter,
  DecisionKind,
  DecisionSummary,
  Replay,
  ReplayRequest,
  ShadowReport,
} from './decision.ts';
import type { Http } from './http.ts';

export interface ShadowRequest {
  readonly hook: string;
  readonly policyRuleURI: string;
  /** Left out: those of the live policy that its schema takes. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

/** Knowing why: what was decided, made again, or tried otherwise. */
export interface DecisionCalls {
  /** Newest first. */
  decisions(filter?: DecisionFilter): Promise<readonly DecisionSummary[]>;
  decision(id: string): Promise<Decision>;
  /** Every candidate, also those that the decision itself does not list: recomputed from what was recorded. */
  candidates(decisionId: string): Promise<readonly CandidateExplanation[]>;
  /** What was decided about `block/ocr`, `instance/ocr-1`, `cluster/home`: newest first. */
  explainSubject(
    subject: string,
    filter?: { readonly kind?: DecisionKind | undefined; readonly limit?: number | undefined },
  ): Promise<readonly Decision[]>;
  /** Makes a decision again on what it was made on. Stores and reserves nothing. */
  replay(decisionId: string, request?: ReplayRequest): Promise<Replay>;
  shadows(): Promise<readonly ShadowReport[]>;
  /** From now on asks a policy what the live policies of a hook are asked. Changes no answer. */
  setShadow(request: ShadowRequest): Promise<ShadowReport>;
  removeShadow(hook: string): Promise<void>;
}

const segment = encodeURIComponent;

/** `?a=1&b=2` of what is given. */
function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${segment(value)}`],
  );
  return given.length === 0 ? '' : `?${given.join('&')}`;
}

export function createDecisionCalls(http: Http): DecisionCalls {
  const base = `${apiPrefix}/decisions`;
  return {
    decisions: ({ kind, outcome, subject, limit } = {}) =>
      http.json(`${base}${query({ kind, outcome, subject, limit })}`),
    decision: (id) => http.json(`${base}/${segment(id)}`),
    candidates: (id) => http.json(`${base}/${segment(id)}/candidates`),
    explainSubject: (subject, { kind, limit } = {}) =>
      http.json(`${apiPrefix}/explain${query({ subject, kind, limit })}`),
    replay: (id, request = {}) =>
      http.json(`${base}/${segment(id)}/replay`, { method: 'POST', json: request }),
    shadows: () => http.json(`${apiPrefix}/shadows`),
    setShadow: (request) => http.json(`${apiPrefix}/shadows`, { json: request }),
    removeShadow: (hook) =>
      http.json(`${apiPrefix}/shadows/${segment(hook)}`, { method: 'DELETE' }),
  };
}
