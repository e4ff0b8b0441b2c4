/** AIOS's AND/OR conditions on clusters: data, compiled once, run natively, and they say what refused. */
import { type Problem, SpecError, shorten } from '../../../sdk/errors.ts';
import type { Misfit } from '../../../sdk/fit.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { all, type Condition, ConditionReader } from './condition.ts';
import type { FilterSubject } from './variables.ts';

export { type FilterSubject, variableNames } from './variables.ts';

/** Nothing for a cluster that passes; else the first condition that refused it, and the value seen. */
export type ClusterFilter = (subject: FilterSubject) => Misfit | undefined;

/** Metrics first, as in AIOS. */
const queries = ['clusterMetricsQuery', 'clusterQuery'];
const unsupported = new Set([
  'blockQuery',
  'blockMetricsQuery',
  'vdagQuery',
  'vdagMetricsQuery',
  'componentQuery',
  'policyQuery',
  'policyFunctionQuery',
  'policyGraphQuery',
]);

const defaultPath = '$.policies.clusterAllocator.parameters.filter';

function read(filter: unknown, path: string): { condition: Condition; problems: Problem[] } {
  const reader = new ConditionReader();
  const { problems } = reader;
  const parts: Condition[] = [];
  const add = (value: unknown, at: string): void => {
    const part = reader.read(value, at);
    if (part) parts.push(part);
  };
  if (filter === undefined || filter === null) return { condition: all([]), problems };
  if (typeof filter !== 'object' || Array.isArray(filter)) {
    const expected = `an object with ${queries.join(' or ')}`;
    problems.push({ path, message: 'is no filter', expected, seen: shorten(filter) });
    return { condition: all([]), problems };
  }
  const fields = filter as Readonly<Record<string, unknown>>;
  if (['variable', 'logicalOperator', 'aggOperator', 'conditions'].some((key) => key in fields)) {
    add(fields, path);
    return { condition: all(parts), problems };
  }
  for (const key of queries) if (key in fields) add(fields[key], `${path}.${key}`);
  for (const key of Object.keys(fields)) {
    if (queries.includes(key)) continue;
    const close = nearest(key, queries);
    problems.push({
      path: `${path}.${key}`,
      message: unsupported.has(key)
        ? `'${key}' is not supported: a filter for placing looks at clusters only`
        : `'${key}' is not a key here`,
      expected: `one of: ${queries.join(', ')}`,
      ...(close === undefined || unsupported.has(key) ? {} : { nearest: close }),
    });
  }
  return { condition: all(parts), problems };
}

/** Every problem of a filter, each with its JSON path. @param path - where in the document the filter stands */
export const checkFilter = (filter: unknown, path = defaultPath): readonly Problem[] =>
  read(filter, path).problems;

/**
 * Compiles `{clusterQuery, clusterMetricsQuery}`, or one condition. No filter lets everything pass.
 *
 * @throws {SpecError} FILTER_INVALID with every problem
 */
export function compileFilter(filter: unknown, path = defaultPath): ClusterFilter {
  const { condition, problems } = read(filter, path);
  const [first] = problems;
  if (!first) return condition.test;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const hint = first.nearest ? ` Did you mean '${first.nearest}'?` : '';
  throw new SpecError(
    'FILTER_INVALID',
    `the filter is wrong: ${first.path} ${first.message}${first.seen ? `, got ${first.seen}` : ''}${more}.${hint}`,
    { problems },
  );
}
