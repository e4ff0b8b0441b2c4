/**
 * Policies as one-shot jobs: submitted, kept, cancelled, and begun anew where a control plane ended in the middle.
 *
 * @module
 */
export { type Jobs, type JobsOptions, jobLimits, openJobs } from './jobs.ts';
export { createQueue } from './queue.ts';
