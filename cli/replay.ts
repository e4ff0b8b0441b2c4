import type {
  Replay,
  ReplayedEvaluation,
  ReplayedPlace,
  ShadowExample,
  ShadowReport,
} from '../sdk/client/api.ts';
import type { Context } from './context.ts';

type Renderer = Pick<Context, 'style' | 'table'>;

const shownDifferences = 20;

function place(where: ReplayedPlace | undefined): string {
  if (!where) return 'nowhere';
  const nodes = [...new Set(where.nodeIds)].join(', ');
  return `${where.clusterId}: ${nodes} (score ${where.score.toFixed(3)})`;
}

function verdict({ same, codeChanged }: ReplayedEvaluation, { style }: Renderer): string {
  if (codeChanged) return style.warn(same ? 'same, but the code changed' : 'the code changed');
  return same ? style.good('same') : style.warn('different');
}

function differenceTable(
  differences: ReplayedEvaluation['differences'],
  { style, table }: Renderer,
  titles: readonly [string, string],
): readonly string[] {
  if (differences.length === 0) return [];
  const rows = differences
    .slice(0, shownDifferences)
    .map(({ path, recorded, replayed }) => [path, recorded ?? '–', replayed ?? '–']);
  const more = differences.length - rows.length;
  return [
    '',
    table(['at', ...titles], rows),
    ...(more > 0 ? [style.dim(`${more} more; --json lists them`)] : []),
  ];
}

/** What was decided beside what would be decided now. */
export function renderReplay(replay: Replay, renderer: Renderer): string {
  const { style, table } = renderer;
  const { decisionId, kind, subject, outcome, evaluations, skipped } = replay;
  const rows = evaluations.map((each) => [
    String(each.evaluation),
    `${each.hook}.${each.action}`,
    each.recorded.policyUri,
    each.replayed.policyUri,
    verdict(each, renderer),
  ]);
  const { recorded, replayed } = replay.place ?? {};
  return [
    `${style.bold(`${kind} of ${subject}`)}  ${outcome}  ${style.dim(decisionId)}`,
    ...(replay.place ? [`went to   ${place(recorded)}`, `would go  ${place(replayed)}`] : []),
    '',
    table(['>#', 'asked', 'policy then', 'policy now', 'answer'], rows),
    ...evaluations.flatMap((each) => [
      ...(each.leftOut.length > 0
        ? [style.dim(`${each.replayed.policyUri} takes no parameter ${each.leftOut.join(', ')}`)]
        : []),
      ...differenceTable(each.differences, renderer, [`then (#${each.evaluation})`, 'now']),
    ]),
    ...skipped.map(({ evaluation, why }) =>
      style.dim(`#${evaluation} was not asked again: ${why}`),
    ),
  ].join('\n');
}

function exampleLines(example: ShadowExample, renderer: Renderer): readonly string[] {
  const { atMs, useSite, action, decisionId, livePolicyUri, differences, error } = example;
  const head = `${new Date(atMs).toISOString()} ${useSite} ${action}, live ${livePolicyUri}${decisionId ? `, ${decisionId}` : ''}`;
  return [
    '',
    renderer.style.dim(head),
    ...(error ? [renderer.style.bad(`${error.code} ${error.message}`)] : []),
    ...differenceTable(differences, renderer, ['live', 'shadow']).slice(1),
  ];
}

/** How often a policy beside the live one would have decided otherwise, and the newest of these. */
export function renderShadows(reports: readonly ShadowReport[], renderer: Renderer): string {
  if (reports.length === 0) return 'no policy is tried beside a live one; see aios shadow --help';
  const rows = reports.map((report) => [
    report.hook,
    report.policyUri,
    new Date(report.sinceMs).toISOString().slice(0, 19).replace('T', ' '),
    String(report.evaluations),
    String(report.agreed),
    String(report.differed),
    String(report.failed),
    String(report.dropped),
  ]);
  const titles = [
    'hook',
    'shadow',
    'since',
    '>asked',
    '>agreed',
    '>differed',
    '>failed',
    '>dropped',
  ];
  return [
    renderer.table(titles, rows),
    ...reports.flatMap(({ examples }) =>
      examples.slice(0, 5).flatMap((example) => exampleLines(example, renderer)),
    ),
  ].join('\n');
}
