import type { Problem } from '../../../sdk/errors.ts';
import { clusterVocabulary } from './cluster-variables.ts';
import { all, on } from './condition.ts';
import {
  type DocumentKind,
  documentKinds,
  documentVocabulary,
  type EntitySubject,
  metricsKinds,
} from './document-variables.ts';
import { failOn } from './fault.ts';
import { ConditionReader, isFields, Reading } from './reader.ts';
import { showJson } from './show.ts';
import type { Condition, Vocabulary } from './subject.ts';

/** What AIOS's searches match, its names. */
export const matchTypes = [
  'cluster',
  'block',
  'vdag',
  'component',
  'policy',
  'policyFunction',
  'policyGraph',
] as const;
export type MatchType = (typeof matchTypes)[number];

/** A filter over stored things. An empty one lets everything pass. */
export type EntityFilter = Pick<Condition<EntitySubject>, 'test' | 'passes' | 'text'>;

type Read = (
  value: unknown,
  path: string,
  reading: Reading,
) => Condition<EntitySubject> | undefined;

const inDocument =
  (words: Vocabulary<EntitySubject>): Read =>
  (value, path, reading) =>
    new ConditionReader(words, reading).read(value, path);

const inCluster: Read = (value, path, reading) => {
  const condition = new ConditionReader(clusterVocabulary, reading).read(value, path);
  return condition && on((subject) => subject.cluster, condition, 'on no cluster');
};

const documents = (kind: DocumentKind, what: string): Read =>
  inDocument(documentVocabulary(what, 'document', documentKinds[kind]));

/** The keys of each kind's filter in the order in which they are asked, as in AIOS. */
const queries: Readonly<Record<MatchType, Readonly<Record<string, Read>>>> = {
  cluster: { clusterMetricsQuery: inCluster, clusterQuery: inCluster },
  block: {
    clusterMetricsQuery: inCluster,
    clusterQuery: inCluster,
    blockMetricsQuery: inDocument(
      documentVocabulary('block metrics', 'metrics', metricsKinds.block),
    ),
    blockQuery: documents('block', 'blocks'),
  },
  vdag: {
    vdagMetricsQuery: inDocument(documentVocabulary('vDAG metrics', 'metrics', metricsKinds.vdag)),
    vdagQuery: documents('vdag', 'vDAGs'),
  },
  component: { componentQuery: documents('component', 'components') },
  policy: { policyQuery: documents('policy', 'policies') },
  policyFunction: { policyFunctionQuery: documents('policyFunction', 'policy functions') },
  policyGraph: { policyGraphQuery: documents('policyGraph', 'policy graphs') },
};

const conditionKeys = ['variable', 'logicalOperator', 'aggOperator', 'conditions'];

function read(matchType: MatchType, filter: unknown, path: string) {
  const reading = new Reading();
  const known = queries[matchType];
  const empty = all<EntitySubject>([]);
  if (filter === undefined || filter === null) return { condition: empty, reading };
  if (!isFields(filter)) {
    const expected = `an object with ${Object.keys(known).join(' or ')}`;
    reading.refuse(path, { message: 'is no filter', expected, seen: showJson(filter) });
    return { condition: empty, reading };
  }
  if (conditionKeys.some((key) => Object.hasOwn(filter, key))) {
    const condition = known[`${matchType}Query`]?.(filter, path, reading);
    return { condition: condition ?? empty, reading };
  }
  const parts = Object.entries(known).flatMap(([key, readQuery]) =>
    Object.hasOwn(filter, key) ? (readQuery(filter[key], `${path}.${key}`, reading) ?? []) : [],
  );
  reading.keys(filter, path, Object.keys(known));
  return { condition: all(parts), reading };
}

/**
 * Compiles what AIOS's searches write: the queries of one kind of thing, or one condition on its documents. A block's
 * cluster must pass `clusterQuery` and `clusterMetricsQuery`; a block on no cluster passes neither.
 *
 * @param path - where in the document the filter stands
 * @throws {SpecError} FILTER_INVALID with every problem
 */
export function compileEntityFilter(
  matchType: MatchType,
  filter: unknown,
  path = '$.filter',
): EntityFilter {
  const { condition, reading } = read(matchType, filter, path);
  failOn(reading.problems);
  const { test, passes, text } = condition;
  return { test, passes, text };
}

/** Every problem of such a filter, each with its JSON path. */
export const checkEntityFilter = (
  matchType: MatchType,
  filter: unknown,
  path = '$.filter',
): readonly Problem[] => read(matchType, filter, path).reading.problems;
