import type { ArtifactCount } from '../../sdk/client/index.ts';
import { formatBytes, parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';

type Row = readonly [name: string, count: ArtifactCount];

function render({ table }: Context, rows: readonly Row[], inHistoryOnly: number): string {
  const shown = rows.map(([name, { artifacts, sizeBytes, sharedBytes }]) => [
    name,
    String(artifacts),
    formatBytes(sizeBytes),
    formatBytes(sharedBytes),
  ]);
  const lines = [table(['artifacts', '>how many', '>size', '>linked elsewhere'], shown)];
  if (inHistoryOnly > 0) {
    lines.push(
      `only split tasks or decisions mention ${inHistoryOnly} of them; forget a task with: aios split-task cancel ID`,
    );
  }
  return lines.join('\n');
}

export const artifacts = defineCommand({
  usage: 'artifacts',
  summary: 'Shows how much code and weights the control plane keeps',
  examples: [
    ['aios artifacts', 'how many, their bytes, and those that nothing refers to'],
    ['aios artifacts prune --dry-run', 'what could be removed'],
  ],
  options: (parser) => parser,
  async run(_args, context) {
    const usage = await context.client.artifactUsage();
    context.result(usage, () =>
      render(
        context,
        [
          ['kept', usage.stored],
          ['nothing refers to', usage.unmentioned],
        ],
        usage.inHistoryOnly,
      ),
    );
  },
});

export const artifactsPrune = defineCommand({
  usage: 'artifacts prune',
  summary: 'Removes code and weights that nothing stored refers to',
  examples: [
    ['aios artifacts prune', 'what was left alone for an hour'],
    ['aios artifacts prune --older-than 1d --dry-run', 'says what would go'],
  ],
  options: (parser) =>
    parser
      .option('older-than', {
        type: 'string',
        nargs: 1,
        default: '1h',
        describe: 'Keeps what was written, linked or asked for since',
      })
      .option('dry-run', { type: 'boolean', describe: 'Removes nothing' }),
  async run(args, context) {
    const olderThanMs = parseDurationMs(args.olderThan);
    const pruning = await context.client.pruneArtifacts({
      olderThanMs,
      dryRun: args.dryRun ?? false,
    });
    context.result(pruning, () =>
      render(
        context,
        [
          [pruning.dryRun ? 'would be removed' : 'removed', pruning.removed],
          ['too young or in use', pruning.recent],
        ],
        pruning.inHistoryOnly,
      ),
    );
  },
});
