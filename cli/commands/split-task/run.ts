import { weightDtype } from '../../../sdk/spec/plan.ts';
import { defineCommand } from '../../command.ts';
import { cutOptions, cutTensorsOf } from '../../cut-options.ts';
import { numeric } from '../../numbers.ts';
import { assertSplit, whenSplit } from '../../split-task.ts';

export const splitTaskRun = defineCommand({
  usage: 'split-task run <model>',
  summary: 'Has the control plane split a model, as a task that is kept and retried',
  examples: [
    ['aios split-task run tiny-assistant --shards 3 --create', 'splits and runs it'],
    ['aios split-task run big --fit edge --run-on cluster --detach', 'on a node policies choose'],
    ['aios split-task run my-model --splitter ./my-splitter.ts', 'your own way to cut'],
  ],
  options: (parser) =>
    parser
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'As `aios split-task models` lists it',
      })
      .option('shards', cutOptions.shards)
      .option('cut', cutOptions.cut)
      .option('fit', cutOptions.fit)
      .option('planner', { type: 'string', nargs: 1, describe: 'URI of the policy that cuts' })
      .option('splitter', { type: 'string', nargs: 1, describe: 'A splitter of yours, a file' })
      .option('max-sessions', {
        ...numeric('--max-sessions', { least: 1, whole: true }),
        describe: 'Answers at once',
      })
      .option('context', {
        ...numeric('--context', { least: 1, whole: true }),
        describe: 'Longest prompt and answer together, in tokens',
      })
      .option('dtype', {
        choices: weightDtype.options,
        describe: 'Converts the weights',
        defaultDescription: 'as they lie',
      })
      .option('copy', { type: 'boolean', describe: 'Copy each shard’s weights' })
      .option('create', { type: 'boolean', describe: 'Run the model when it is split' })
      .option('attempts', {
        ...numeric('--attempts', { least: 1, most: 10, whole: true }),
        default: 3,
        describe: 'How often it is tried where that may help',
      })
      .option('attempt-timeout', {
        type: 'string',
        nargs: 1,
        default: '2h',
        describe: 'How long one attempt may take',
      })
      .option('run-on', {
        choices: ['here', 'cluster'] as const,
        default: 'here' as const,
        describe: 'Beside the control plane, or on a node that policies choose',
      })
      .option('memory', {
        type: 'string',
        nargs: 1,
        default: '1Gi',
        describe: 'Of the process’s heap, and what a node promises it',
      })
      .option('detach', { type: 'boolean', describe: 'Do not wait for it' }),
  async run(args, context) {
    const { client, progress, signal, style } = context;
    const [{ parseBytes, parseDurationMs }, { bundleSplitter }] = await Promise.all([
      import('../../../sdk/units.ts'),
      import('../../custom-splitter.ts'),
    ]);
    const own =
      args.splitter === undefined ? undefined : await bundleSplitter(context, args.splitter);
    if (own && !(await client.hasArtifact(own.hash))) {
      await client.uploadArtifact(own.hash, own.code, { signal });
    }
    const submitted = await client.submitSplit({
      model: args.model,
      splitter: own?.hash,
      shards: args.shards,
      planner: args.planner,
      fit: args.fit ?? [],
      cutTensors: cutTensorsOf(args.cut),
      maxSessions: args.maxSessions,
      contextTokens: args.context,
      dtype: args.dtype,
      copy: args.copy ?? false,
      create: args.create ?? false,
      maxAttempts: args.attempts,
      attemptTimeoutMs: parseDurationMs(args.attemptTimeout),
      runOn: args.runOn,
      memoryBytes: parseBytes(args.memory),
    });
    if (args.detach) {
      context.result(submitted, () => submitted.id);
      return;
    }
    const task = await whenSplit(context, submitted);
    progress.done();
    assertSplit(task);
    context.result(task, () =>
      [
        `task ${style.bold(task.id)} succeeded: ${task.shards} shards of ${task.vdagUri}`,
        task.created
          ? `it runs as ${task.created.model}`
          : `run it: aios split-task create ${task.id}`,
      ].join('\n'),
    );
  },
});
