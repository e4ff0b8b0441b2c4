import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { readDocument } from '../documents.ts';
import { waitForVdag } from '../wait.ts';

/** @throws {AiosError} NOT_FOUND - the folder is not there, or holds no split: most often it is the model's own */
async function planFile(folder: string, named: string): Promise<string> {
  const file = join(folder, 'plan.json');
  if (await stat(file).catch(() => undefined)) return file;
  const message = (await stat(folder).catch(() => undefined))
    ? `'${named}' holds no plan.json, so it is not a split model. Split one: aios split <model> --out <folder>`
    : `there is no folder '${named}'.`;
  throw new AiosError('NOT_FOUND', message);
}

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
    const plan = readPlan(await readDocument(context, await planFile(folder, args.dir)));
    await uploadPlanFiles(context, folder, plan);
    const created = await context.client.createPlan(plan);
    // Created before, it may be running already.
    const { ready } = args.wait
      ? await waitForVdag(context, created.vdagUri, timeoutMs)
      : await context.client.get('vdag', created.vdagUri);
    context.result(created, () => {
      const count = created.blocks.length;
      return [
        `model ${context.style.bold(created.model)} ${ready ? 'is ready' : 'is starting'}: ${count} shard${count === 1 ? '' : 's'}`,
        ...created.blocks.map((id) => `  block ${id}`),
        plan.vdag.generation
          ? `talk to it: aios chat ${created.model}`
          : `call it: aios infer vdag ${created.vdagUri} --data @tensors.json`,
      ].join('\n');
    });
  },
});
