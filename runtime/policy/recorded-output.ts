import { allRowsUpTo, CandidateDigest, type CandidateRow } from './candidate-rows.ts';
import { digestOf } from './digest.ts';

const maxRecordedCharacters = 64 * 1024;

/**
 * An answer as it is written down: every row up to 100, of more what tells most with counts over all, and of an answer
 * that is still too large only its digest. What the platform goes by is the answer itself.
 */
export function recordedOutput(output: unknown): unknown {
  if (typeof output !== 'object' || output === null) return output;
  const { nodes } = output as { readonly nodes?: readonly CandidateRow[] };
  let brief = output;
  if (Array.isArray(nodes) && nodes.length > allRowsUpTo) {
    const digest = new CandidateDigest<CandidateRow>();
    for (const row of nodes as readonly CandidateRow[]) digest.add(row, undefined);
    brief = { ...output, nodes: digest.rows().map(({ row }) => row), nodeCounts: digest.counts() };
  }
  const { length } = JSON.stringify(brief);
  return length <= maxRecordedCharacters
    ? brief
    : { omitted: `${length} characters of JSON`, digest: digestOf(output) };
}
