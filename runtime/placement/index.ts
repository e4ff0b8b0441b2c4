/**
 * Where blocks go: the filter language, the ledger of what is promised, and the pipeline from a block to a reserved plan.
 *
 * @module
 */

export { createPlacement } from './create-placement.ts';
export {
  type ClusterFilter,
  checkEntityFilter,
  checkFilter,
  compileEntityFilter,
  compileFilter,
  type EntitySubject,
} from './filter/index.ts';
export { createLedger } from './ledger.ts';
export * from './placement.ts';
export { type PlacementContext, type PolicyRows, recomputeCandidates } from './recompute.ts';
