/**
 * AIOS's AND/OR conditions: data, compiled once, run natively, and they say what refused.
 *
 * A filter for placing speaks of clusters, nodes and devices in one object; each part may be left out:
 *
 * ```json
 * {
 *   "clusterQuery": {"variable": "regionId", "operator": "IN", "value": ["eu-1", "eu-2"]},
 *   "clusterMetricsQuery": {"variable": "cluster.gpu.totalFreeMem", "operator": ">", "value": 48000},
 *   "nodeQuery": {"variable": "tags", "operator": "IN", "value": ["production"]},
 *   "nodeMetricsQuery": {"variable": "vcpu.load15m", "operator": "<", "value": 10},
 *   "gpuQuery": {"count": 2, "where": {"logicalOperator": "AND", "conditions": [
 *     {"variable": "freeMem", "operator": ">=", "value": 16384},
 *     {"variable": "cudaUtilization", "operator": "<", "value": 90}]}}
 * }
 * ```
 *
 * - A condition is `{variable, operator, value}`, `{logicalOperator, conditions}`, or over a list
 *   `{aggOperator, target, operator, value}` with `count`, `sum`, `avg`, `min` or `max`. One condition alone is a
 *   condition on clusters.
 * - `nodeQuery` and `nodeMetricsQuery` take the same names; the metrics are asked first. `node.` may stand before a name.
 * - `gpuQuery` holds for a node of which at least `count` (1 if left out) devices satisfy `where`, and only those may be
 *   chosen. `{count, conditions}` is short for an AND.
 * - AIOS names have AIOS units: MB of 2^20 bytes, percent. Our own, such as `freeMemoryBytes`, say theirs.
 *
 * Over stored things see {@link compileEntityFilter}.
 *
 * @module
 */
import type { Problem } from '../../../sdk/errors.ts';
import type { Misfit } from '../../../sdk/fit.ts';
import type { FilterSubject } from './cluster-variables.ts';
import { failOn } from './fault.ts';
import { createNodeFilter, type NodeFilter } from './node-filter.ts';
import { readPlacementFilter, type Subject } from './placement-filter.ts';
import type { Condition } from './subject.ts';

export type { FilterSubject } from './cluster-variables.ts';
export type { EntitySubject } from './document-variables.ts';
export {
  checkEntityFilter,
  compileEntityFilter,
  type EntityFilter,
  type MatchType,
  matchTypes,
} from './entity-filter.ts';
export type { NodeFilter, NodeSurvey, RefusedNodes } from './node-filter.ts';
export { carryTable, type NodeRun, tableOf } from './node-table.ts';
export { type FilterVariable, filterVariables } from './variables.ts';

/** Nothing for a cluster that passes; else the first condition that refused it, and the value seen. */
export type ClusterFilter = (subject: FilterSubject) => Misfit | undefined;

/** A {@link ClusterFilter} with a way that gives no reason and allocates nothing. */
export type CompiledClusterFilter = Pick<Condition<FilterSubject>, 'test' | 'passes' | 'text'>;

const defaultPath = '$.policies.clusterAllocator.parameters.filter';

/** Every problem of a filter, each with its JSON path. @param path - where in the document the filter stands */
export const checkFilter = (filter: unknown, path = defaultPath): readonly Problem[] =>
  readPlacementFilter(filter, path).problems;

/** The same: a filter is checked as a whole, whichever part of it is used. */
export const checkNodeFilter = checkFilter;

/**
 * Compiles what a filter asks of clusters; the rest of it is checked, and asks nothing here.
 *
 * @param alone - what one condition that stands alone is about
 * @throws {SpecError} FILTER_INVALID with every problem
 */
export function compileClusterFilter(
  filter: unknown,
  path = defaultPath,
  alone: Subject = 'cluster',
): CompiledClusterFilter {
  const { cluster, problems } = readPlacementFilter(filter, path, alone);
  failOn(problems);
  const { test, passes, text } = cluster;
  return { test, passes, text };
}

/** {@link compileClusterFilter}, as one function. No filter lets everything pass. */
export const compileFilter = (filter: unknown, path = defaultPath): ClusterFilter =>
  compileClusterFilter(filter, path).test;

/**
 * Compiles what a filter asks of nodes and devices; the rest of it is checked, and asks nothing here.
 *
 * @param alone - what one condition that stands alone is about
 * @throws {SpecError} FILTER_INVALID with every problem
 */
export function compileNodeFilter(
  filter: unknown,
  path = defaultPath,
  alone: Subject = 'cluster',
): NodeFilter {
  const { node, gpu, problems } = readPlacementFilter(filter, path, alone);
  failOn(problems);
  return createNodeFilter(node, gpu);
}
