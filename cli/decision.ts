import type { CandidateExplanation, Decision, DecisionSummary } from '../sdk/client/api.ts';
import { formatDuration } from '../sdk/units.ts';
import type { Context } from './context.ts';

type Renderer = Pick<Context, 'style' | 'table'>;

const badOutcomes = new Set(['refused', 'failed']);

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
function countLines({ candidateCounts: counts }: Decision, listed: number): readonly string[] {
  if (!counts) return [];
  const refused = counts.refused.map(({ refusedBy, count }) => `  ${count} refused: ${refusedBy}`);
  const shown =
    listed >= counts.total
      ? 'all are shown'
      : 'shown are the best and some of each refusal; --all recomputes the others';
  const head = `of ${counts.total} candidates, ${counts.scored} were scored; ${shown}`;
  return [head, ...refused.slice(0, 20)];
}

function outcomeOf({ outcome }: Pick<Decision, 'outcome'>, { style }: Renderer): string {
  return badOutcomes.has(outcome) ? style.bad(outcome) : style.good(outcome);
}

const timeOf = ({ atMs }: Pick<Decision, 'atMs'>): string => new Date(atMs).toISOString();

function policyTable({ evaluations }: Decision, { style, table }: Renderer): readonly string[] {
  if (evaluations.length === 0) return [];
  const rows = evaluations.map((evaluation, at) => [
    String(at),
    `${evaluation.hook}.${evaluation.action}`,
    evaluation.policyUri,
    formatDuration(evaluation.durationMs),
    evaluation.error ? style.bad(`${evaluation.error.code} ${evaluation.error.message}`) : 'ok',
  ]);
  return ['', table(['>#', 'asked', 'policy', '>time', 'answer'], rows)];
}

/** A short answer stands whole; a placement's is told by its candidates. */
function answerLines({ evaluations, candidates }: Decision): readonly string[] {
  if (candidates.length > 0) return [];
  return evaluations.flatMap(({ output, policyUri }) => {
    const text = output === undefined ? '' : JSON.stringify(output);
    return text === '' ? [] : [`${policyUri} answered ${text.slice(0, 500)}`];
  });
}

/**
 * A decision for people: what came out, every candidate, every policy that was asked.
 *
 * @param candidates - to show in place of those that the decision lists
 */
export function renderDecision(
  decision: Decision,
  renderer: Renderer,
  candidates = decision.candidates,
): string {
  const { style } = renderer;
  const { kind = 'placement', subject = `block/${decision.blockId}` } = decision;
  const name = kind === 'placement' ? decision.blockId : `${kind} of ${subject}`;
  const facts = `${decision.reason}, ${timeOf(decision)}, ${formatDuration(decision.durationMs)}, ${decision.id}`;
  const details = Object.entries(decision.details ?? {}).map(
    ([key, value]) => `  ${key}: ${JSON.stringify(value)}`,
  );
  return [
    `${style.bold(name)}  ${outcomeOf(decision, renderer)}  ${style.dim(facts)}`,
    decision.message,
    ...details,
    ...(candidates.length > 0 ? ['', renderCandidates(candidates, renderer)] : []),
    ...countLines(decision, candidates.filter(({ nodeId }) => nodeId !== undefined).length).map(
      (line) => style.dim(line),
    ),
    ...answerLines(decision),
    ...policyTable(decision, renderer),
    ...decision.evaluations.flatMap(({ logs, policyUri }) =>
      logs.map((line) => style.dim(`  ${policyUri}: ${line}`)),
    ),
  ].join('\n');
}

type Listed = Pick<
  DecisionSummary,
  'id' | 'subject' | 'reason' | 'outcome' | 'message' | 'atMs' | 'kind'
>;

/** One row a decision, newest first. */
export function renderDecisions(decisions: readonly Listed[], renderer: Renderer): string {
  const rows = decisions.map((decision) => [
    timeOf(decision).slice(0, 19).replace('T', ' '),
    decision.kind,
    decision.subject,
    outcomeOf(decision, renderer),
    decision.id,
    decision.message.length > 100 ? `${decision.message.slice(0, 99)}…` : decision.message,
  ]);
  return renderer.table(['at', 'kind', 'about', 'outcome', 'decision', 'why'], rows);
}
