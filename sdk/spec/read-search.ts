import { readFilterRule } from './filter-rule.ts';
import { isObject, type Located } from './located.ts';
import { readReference } from './policy-references.ts';
import { searchSpec } from './search.ts';
import type { DocumentReader } from './source.ts';

/** The first that says something. */
const first = (...values: readonly [Located, ...Located[]]): Located =>
  values.find(({ value }) => value !== undefined) ?? values[0];

/**
 * A search in the plain form, or in AIOS's: filter, kind and number of results inside the ranking's parameters, wrapped or
 * not.
 */
export const searchReader: DocumentReader<typeof searchSpec> = {
  schema: searchSpec,
  aiosKeys: [],
  read({ draft, fields, reading }) {
    readReference(draft, 'rankingPolicyRule', fields.take('rankingPolicyRule'));
    const ranking = draft.value.rankingPolicyRule;
    const path = reading.locate(['rankingPolicyRule', 'parameters']);
    const rule = readFilterRule({ value: isObject(ranking) ? ranking.parameters : {}, path });
    if (isObject(ranking)) ranking.parameters = rule.parameters;
    draft.put('matchType', first(fields.take('matchType'), rule.matchType));
    draft.put('filter', first(fields.take('filter'), rule.filter));
    draft.put('limit', first(fields.take('limit', 'return'), rule.limit));
    return undefined;
  },
};
