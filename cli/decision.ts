import type { CandidateExplanation, Decision } from '../sdk/client/api.ts';
import { formatDuration } from '../sdk/units.ts';
import type { Context } from './context.ts';

type Renderer = Pick<Context, 'style' | 'table'>;

function verdict(candidate: CandidateExplanation, { style }: Renderer): string {
  if (candidate.chosen) return style.good('chosen');
  if (candidate.refusedBy === undefined) return 'fits';
  const seen = candidate.seen === undefined ? '' : `; saw ${candidate.seen}`;
  return style.warn(`refused: ${candidate.refusedBy}${seen}`);
}

/** One row a candidate: the condition that refused it with the value seen, or its score. */
export function renderCandidates(
  candidates: readonly CandidateExplanation[],
  renderer: Renderer,
): string {
  const rows = candidates.map((candidate) => [
    candidate.clusterId,
    candidate.nodeId ?? '(cluster)',
    candidate.score === undefined ? '–' : candidate.score.toFixed(3),
    verdict(candidate, renderer),
  ]);
  return renderer.table(['cluster', 'node', '>score', 'verdict'], rows);
}

/** Where not every candidate has a row: how many there were, and what refused how many. */
function countLines({ candidateCounts: counts }: Decision): readonly string[] {
  if (!counts) return [];
  const refused = counts.refused.map(({ refusedBy, count }) => `  ${count} refused: ${refusedBy}`);
  const head = `of ${counts.total} candidates, ${counts.scored} were scored; shown are the best and some of each refusal`;
  return [head, ...refused.slice(0, 20)];
}

/** A placement decision for people: what came out, every candidate, every policy that was asked. */
export function renderDecision(decision: Decision, renderer: Renderer): string {
  const { style } = renderer;
  const good = decision.outcome !== 'refused' && decision.plan !== undefined;
  const time = new Date(decision.atMs).toISOString();
  const policies = decision.evaluations.map((evaluation) => [
    `${evaluation.hook}.${evaluation.action}`,
    evaluation.policyUri,
    formatDuration(evaluation.durationMs),
    evaluation.error ? style.bad(`${evaluation.error.code} ${evaluation.error.message}`) : 'ok',
  ]);
  return [
    `${style.bold(decision.blockId)}  ${good ? style.good(decision.outcome) : style.bad(decision.outcome)}  ${style.dim(`${decision.reason}, ${time}, ${formatDuration(decision.durationMs)}`)}`,
    decision.message,
    '',
    renderCandidates(decision.candidates, renderer),
    ...countLines(decision).map((line) => style.dim(line)),
    ...(policies.length > 0
      ? ['', renderer.table(['asked', 'policy', '>time', 'answer'], policies)]
      : []),
    ...decision.evaluations.flatMap(({ logs, policyUri }) =>
      logs.map((line) => style.dim(`  ${policyUri}: ${line}`)),
    ),
  ].join('\n');
}
