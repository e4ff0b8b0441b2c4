import { clusterVocabulary } from './cluster-variables.ts';
import { documentKinds, documentVocabulary, metricsKinds } from './document-variables.ts';
import { gpuVocabulary } from './gpu-variables.ts';
import { nodeVocabulary } from './node-variables.ts';
import type { VariableType, Vocabulary } from './subject.ts';

/** A name that conditions may use. */
export interface FilterVariable {
  /** Of the filter's parts, those in which it may stand. */
  readonly query: string;
  readonly name: string;
  /** AIOS names count in MB of 2^20 bytes and in percent; `bytes` also takes text such as `'2Gi'`. */
  readonly type: VariableType;
  /** A condition holds when it holds for any element. */
  readonly list: boolean;
}

const namesOf = <S>(query: string, words: Vocabulary<S>): readonly FilterVariable[] =>
  words.names.flatMap((name) => {
    const found = words.find(name);
    return found ? [{ query, name, type: found.type, list: found.list }] : [];
  });

const blocks = documentVocabulary('blocks', 'document', documentKinds.block);
const blockMetrics = documentVocabulary('block metrics', 'metrics', metricsKinds.block);

/** Every name, by the kind of thing that is asked about; whatever a document's metadata holds comes on top. */
export const filterVariables = {
  cluster: () => namesOf('clusterQuery, clusterMetricsQuery', clusterVocabulary),
  node: () => namesOf('nodeQuery, nodeMetricsQuery', nodeVocabulary),
  gpu: () => namesOf('gpuQuery', gpuVocabulary),
  block: () => [...namesOf('blockQuery', blocks), ...namesOf('blockMetricsQuery', blockMetrics)],
} as const;
