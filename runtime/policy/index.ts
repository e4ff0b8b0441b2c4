/**
 * The policy host: resolves, validates both ways, runs within a time limit, records. Built-in policies run in this
 * process, uploaded ones in a sandbox.
 *
 * @module
 */
export { allRowsUpTo, CandidateDigest, type CandidateRow } from './candidate-rows.ts';
export { type Content, carryRuns, contentOf, digestOf, type Part, partsIn } from './digest.ts';
export { deepFreeze, freezeList, isDeeplyFrozen } from './freeze.ts';
export * from './host.ts';
export { createInProcessRunner } from './in-process.ts';
export { createPolicyHost } from './policy-host.ts';
export { type ReadPart, rebuild } from './rebuild.ts';
export { recordedOutput } from './recorded-output.ts';
export {
  attachRecording,
  contextOf,
  type Recording,
  recordContext,
  recordingOf,
} from './recording.ts';
export { createTrial, type Trial, type TrialAnswer, type TrialRequest } from './trial.ts';
