import { join } from 'node:path';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { readDocument } from '../documents.ts';
import { waitForVdag } from '../wait.ts';

export const createPlan = defineCommand({
  usage: 'create-plan <dir>',
  summary: 'Runs a split model: uploads its shards, creates their blocks and the vDAG',
  examples: [
    ['aios create-plan plan --wait', 'returns when the model answers'],
    ['aios create-plan plan --wait --json', 'prints {"model": …}, the name to ask for'],
  ],
  options: (parser) =>
    parser
      .positional('dir', {
        type: 'string',
        demandOption: true,
        describe: 'What `aios split --out` wrote',
      })
      .option('wait', { type: 'boolean', describe: 'Until every shard is ready' })
      .option('timeout', { type: 'string', default: '2m', describe: 'How long to wait' }),
  async run(args, context) {
    const timeoutMs = parseDurationMs(args.timeout);
    const [{ readPlan }, { uploadPlanFiles }] = await Promise.all([
      import('../../sdk/spec/index.ts'),
      import('../plan-files.ts'),
    ]);
    const folder = context.path(args.dir);
    const plan = readPlan(await readDocument(context, join(folder, 'plan.json')));
    await uploadPlanFiles(context, folder, plan);
    const created = await context.client.createPlan(plan);
    if (args.wait) await waitForVdag(context, created.vdagUri, timeoutMs);
    context.result(created, () => {
      const count = created.blocks.length;
      return [
        `model ${context.style.bold(created.model)} ${args.wait ? 'is ready' : 'is starting'}: ${count} shard${count === 1 ? '' : 's'}`,
        ...created.blocks.map((id) => `  block ${id}`),
        `talk to it: aios chat ${created.model}`,
      ].join('\n');
    });
  },
});
