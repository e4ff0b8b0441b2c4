import { at, isObject, type Located } from './located.ts';

/** What AIOS puts beside a policy's own parameters, for the platform to read. */
export interface FilterRule {
  readonly matchType: Located;
  readonly filter: Located;
  /** How many are wanted. */
  readonly limit: Located;
  /** The policy's own. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/**
 * Takes `filterRule: {matchType, filter}` and `return` out of a reference's parameters; a `filterRule` without a `filter`
 * is the filter itself.
 */
export function readFilterRule(parameters: Located): FilterRule {
  const given = isObject(parameters.value) ? parameters.value : {};
  const { filterRule: _rule, return: _count, ...rest } = given;
  const rule = at(parameters, 'filterRule');
  const inner = isObject(at(rule, 'values').value) ? at(rule, 'values') : rule;
  const filter = at(inner, 'filter');
  return {
    matchType: at(inner, 'matchType'),
    filter: isObject(inner.value) && filter.value === undefined ? withoutKind(inner) : filter,
    limit: at(parameters, 'return'),
    parameters: rest,
  };
}

function withoutKind(rule: Located): Located {
  const { matchType: _kind, ...rest } = rule.value as Readonly<Record<string, unknown>>;
  return Object.keys(rest).length === 0 ? { ...rule, value: undefined } : { ...rule, value: rest };
}
