import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { readDocument } from '../documents.ts';
import { numeric } from '../numbers.ts';
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

/** Every shard that often, or as often as its document allows already. */
const withInstances = (plan: SplitPlan, count: number): SplitPlan => ({
  ...plan,
  blocks: plan.blocks.map((block) => ({
    ...block,
    minInstances: count,
    maxInstances: Math.max(count, block.maxInstances),
  })),
});

/** Parts of a plan are not replaced one by one: the model goes, with what only it uses, and comes again. */
function alreadyThere(uri: string, cause: unknown): unknown {
  const { code, message, details } = AiosError.from(cause);
  if (code !== 'ALREADY_EXISTS') return cause;
  const what = message.replace(/ Delete it first, .*$/s, '');
  return new AiosError(
    code,
    `${what} To put this plan in its place: aios delete vdag ${uri} --cascade, then create-plan again.`,
    { cause, details },
  );
}

export const createPlan = defineCommand({
  usage: 'create-plan <dir>',
  summary: 'Runs a split model: uploads its shards, creates their blocks and the vDAG',
  examples: [
    ['aios create-plan plan --wait', 'returns when the model answers'],
    ['aios create-plan plan --activation-dtype fp16', 'half the bytes between shards'],
    ['aios create-plan plan --wait --json', 'prints {"model": …}, the name to ask for'],
  ],
  options: (parser) =>
    parser
      .positional('dir', {
        type: 'string',
        demandOption: true,
        describe: 'What `aios split --out` wrote',
      })
      .option('activation-dtype', {
        type: 'string',
        nargs: 1,
        describe:
          'Activations between shards: fp32 (exact), fp16, int8, or auto (by the measured links); one for all, or one for each with commas between',
        defaultDescription: 'fp32',
      })
      .option('instances', {
        ...numeric('--instances', { least: 1, whole: true }),
        nargs: 1,
        describe:
          'Of each shard: sessions are spread over them, and go on in others when one dies or is slow',
        defaultDescription: '1',
      })
      .option('wait', { type: 'boolean', describe: 'Until every shard is ready' })
      .option('share', {
        type: 'boolean',
        default: true,
        describe: 'Blocks that run the same layers for other models serve this one too',
      })
      .option('timeout', { type: 'string', default: '2m', describe: 'How long to wait' }),
  async run(args, context) {
    const timeoutMs = parseDurationMs(args.timeout);
    const [
      { readPlan, readWrittenPlan },
      { completeHere, uploadPlanFiles },
      { withActivationDtype },
    ] = await Promise.all([
      import('../../sdk/spec/index.ts'),
      import('../plan-files.ts'),
      import('../activation-dtype.ts'),
    ]);
    const folder = context.path(args.dir);
    const document = await readDocument(context, await planFile(folder, args.dir));
    const written = readPlan(await completeHere(context, folder, readWrittenPlan(document)));
    const dtype = args.activationDtype;
    const typed = dtype === undefined ? written : withActivationDtype(written, dtype);
    const plan = args.instances === undefined ? typed : withInstances(typed, args.instances);
    await uploadPlanFiles(context, folder, plan);
    const created = await context.client
      .createPlan(plan, { share: args.share })
      .catch((error) => Promise.reject(alreadyThere(plan.vdag.uri, error)));
    // Created before, it may be running already.
    const { ready } = args.wait
      ? await waitForVdag(context, created.vdagUri, timeoutMs)
      : await context.client.get('vdag', created.vdagUri);
    context.result(created, () => {
      const shared = created.sharedBlocks ?? [];
      const count = created.blocks.length + shared.length;
      return [
        `model ${context.style.bold(created.model)} ${ready ? 'is ready' : 'is starting'}: ${count} shard${count === 1 ? '' : 's'}`,
        ...created.blocks.map((id) => `  block ${id}`),
        ...shared.map((id) => `  block ${id}, shared: it runs the same layers already`),
        plan.vdag.generation
          ? `talk to it: aios chat ${created.model}`
          : `call it: aios infer vdag ${created.vdagUri} --data @tensors.json`,
      ].join('\n');
    });
  },
});
