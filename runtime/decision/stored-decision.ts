import { randomUUID } from 'node:crypto';
import type { Decision, DecisionSummary } from '../../sdk/client/api.ts';
import {
  contentOf,
  contextOf,
  deepFreeze,
  type Part,
  partsIn,
  recordingOf,
} from '../policy/index.ts';
import type { WholeDecision } from './decision-index.ts';
import type { NewDecision } from './decision-log.ts';

/** What one evaluation was given: text of `contentOf`, long parts by key. */
interface Recorded {
  readonly input: string;
  /** Absent: no state. */
  readonly state?: string;
}

/** A decision as the store has it. */
export type StoredDecision = Decision & {
  /** One an evaluation; null where nothing was kept of it. */
  readonly recorded?: readonly (Recorded | null)[];
  readonly context?: string;
};

const maxMessageLength = 4000;

export function complete(decision: NewDecision, nowMs: number): WholeDecision {
  const { subject, evaluations, message } = decision;
  const blockId =
    decision.blockId ?? (subject?.startsWith('block/') ? subject.slice('block/'.length) : '');
  return {
    ...decision,
    id: decision.id ?? `decision-${randomUUID()}`,
    kind: decision.kind ?? 'placement',
    subject: subject ?? (blockId === '' ? 'network' : `block/${blockId}`),
    blockId,
    message: message.slice(0, maxMessageLength),
    candidates: decision.candidates ?? [],
    atMs: decision.atMs ?? nowMs,
    durationMs:
      decision.durationMs ?? evaluations.reduce((sum, { durationMs }) => sum + durationMs, 0),
  };
}

/** @returns the document, and the parts that it refers to */
export function toStored(decision: WholeDecision): {
  readonly value: StoredDecision;
  readonly parts: readonly Part[];
} {
  const parts: Part[] = [];
  const textOf = (value: unknown): string => {
    const content = contentOf(deepFreeze(value));
    parts.push(...content.parts);
    return content.text;
  };
  const recorded = decision.evaluations.map((evaluation): Recorded | null => {
    const given = recordingOf(evaluation);
    if (!given) return null;
    const hasState = Object.keys(given.state).length > 0;
    return { input: textOf(given.input), ...(hasState ? { state: textOf(given.state) } : {}) };
  });
  const context = contextOf(decision);
  const value: StoredDecision = {
    ...decision,
    ...(recorded.some((each) => each !== null) ? { recorded } : {}),
    ...(context === undefined ? {} : { context: textOf(context) }),
  };
  return { value, parts };
}

/** Keys of the parts that a stored decision refers to. */
export const rootsOf = ({ recorded = [], context = '' }: StoredDecision): readonly string[] =>
  [...recorded.flatMap((each) => [each?.input ?? '', each?.state ?? '']), context].flatMap(partsIn);

/** As a caller sees it: what was recorded stays inside. */
export function fromStored(stored: StoredDecision): WholeDecision {
  const { recorded: _recorded, context: _context, ...decision } = stored;
  return complete(decision, decision.atMs);
}

export function summaryOf(decision: WholeDecision): DecisionSummary {
  const { id, kind, subject, blockId, reason, outcome, message, atMs, durationMs } = decision;
  const policies = [...new Set(decision.evaluations.map(({ policyUri }) => policyUri))];
  return { id, kind, subject, blockId, reason, outcome, message, atMs, durationMs, policies };
}
