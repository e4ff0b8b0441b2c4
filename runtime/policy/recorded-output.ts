import { allRowsUpTo, CandidateDigest, type CandidateRow } from './candidate-rows.ts';
import { digestOf } from './digest.ts';

const maxRecordedCharacters = 64 * 1024;

/** Of many scores the best 20, by the position of the node in the question. */
function briefScores(scores: readonly number[]): unknown {
  const digest = new CandidateDigest<CandidateRow & { readonly index: number }>();
  digest.addScores(scores, 0, undefined, (index) => ({ index, score: scores[index] }));
  return { total: scores.length, best: digest.rows().map(({ row }) => row) };
}

/**
 * An answer as it is written down: every row up to 100, of more what tells most with counts over all, and of an answer
 * that is still too large only its digest. What the platform goes by is the answer itself.
 */
export function recordedOutput(output: unknown): unknown {
  if (typeof output !== 'object' || output === null) return output;
  const { nodes, scores } = output as {
    readonly nodes?: readonly CandidateRow[];
    readonly scores?: readonly number[];
  };
  let brief = output;
  if (Array.isArray(nodes) && nodes.length > allRowsUpTo) {
    const digest = new CandidateDigest<CandidateRow>();
    for (const row of nodes as readonly CandidateRow[]) digest.add(row, undefined);
    brief = { ...output, nodes: digest.rows().map(({ row }) => row), nodeCounts: digest.counts() };
  }
  if (Array.isArray(scores) && scores.length > allRowsUpTo) {
    brief = { ...brief, scores: briefScores(scores) };
  }
  const { length } = JSON.stringify(brief);
  return length <= maxRecordedCharacters
    ? brief
    : { omitted: `${length} characters of JSON`, digest: digestOf(output) };
}
