/**
 * Finding what there is: search with ranking, blocks for vDAG nodes, places that no block needs.
 *
 * @module
 */
export { allocate } from './allocate.ts';
export { type AssignParts, assignBlocks, type Bindings, bind } from './assign.ts';
export { type SearchParts, search } from './search.ts';
