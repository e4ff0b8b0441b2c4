/**
 * Knowing why: what was decided, by which policies on which input, and the same decision made again.
 *
 * Whoever decides something calls `log.record({kind, subject, outcome, reason, message, evaluations, tenant})` with the
 * evaluations that the policy host answered.
 *
 * @module
 */

export { allCandidates } from './candidates.ts';
export { type DecisionLogOptions, openDecisionLog } from './create-decision-log.ts';
export type * from './decision-log.ts';
export { createReplayer, type Replayer } from './replay.ts';
export { type DecisionServices, openDecisionServices } from './services.ts';
export { openShadows, type ShadowOptions, type Shadows } from './shadows.ts';
