import { parseDurationMs } from '../../../sdk/units.ts';
import { defineCommand } from '../../command.ts';
import { waitForVdag } from '../../wait.ts';

export const splitTaskCreate = defineCommand({
  usage: 'split-task create <id>',
  summary: 'Runs the model that a task split',
  examples: [['aios split-task create split-… --wait', 'returns when the model answers']],
  options: (parser) =>
    parser
      .positional('id', { type: 'string', demandOption: true })
      .option('wait', { type: 'boolean', describe: 'Until every shard is ready' })
      .option('timeout', { type: 'string', default: '2m', describe: 'How long to wait' })
      .option('share', {
        type: 'boolean',
        default: true,
        describe: 'Blocks that run the same layers for other models serve this one too',
      }),
  async run({ id, wait, timeout, share }, context) {
    const timeoutMs = parseDurationMs(timeout);
    const created = await context.client.createPlan(await context.client.splitTaskPlan(id), {
      share,
    });
    if (wait) await waitForVdag(context, created.vdagUri, timeoutMs);
    context.result(created, () => `model ${context.style.bold(created.model)} created`);
  },
});
