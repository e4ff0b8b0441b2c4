/**
 * The policy host: resolves, validates both ways, runs within a time limit, records. Built-in policies run in this
 * process, uploaded ones in a sandbox.
 *
 * @module
 */
export { allRowsUpTo, CandidateDigest, type CandidateRow } from './candidate-rows.ts';
export { digestOf } from './digest.ts';
export { deepFreeze, freezeList } from './freeze.ts';
export * from './host.ts';
export { createPolicyHost } from './policy-host.ts';
export { createInProcessRunner } from './in-process.ts';
export { createTrial, type Trial, type TrialAnswer, type TrialRequest } from './trial.ts';
