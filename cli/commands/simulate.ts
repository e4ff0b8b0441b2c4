import { writeFile } from 'node:fs/promises';
import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

async function loadAll(context: Context, files: readonly string[]) {
  const { loadLocalPolicy } = await import('../policy/load.ts');
  const loaded = [];
  for (const file of files) loaded.push(await loadLocalPolicy(context, file));
  return loaded;
}

export const simulate = defineCommand({
  usage: 'simulate <scenario>',
  summary: 'Runs arrivals against policies on a network that nobody has',
  examples: [
    [
      'aios simulate examples/simulate/scenario.json --plot plot.svg',
      'three policies, the same arrivals; needs no control plane',
    ],
    ['aios simulate scenario.json --policy night-shift.ts', 'with one of yours among them'],
  ],
  options: (parser) =>
    parser
      .positional('scenario', { type: 'string', demandOption: true, describe: 'JSON' })
      .option('policy', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'A definePolicy file of yours, that variants may name by its URI',
      })
      .option('seed', { type: 'number', describe: "In place of the scenario's" })
      .option('plot', { type: 'string', describe: 'Write an SVG of it over time' }),
  async run(args, context) {
    const { plotReport, readScenario, runScenario } = await import(
      '../../runtime/simulation/index.ts'
    );
    const { builtinPolicies } = await import('../../policies/index.ts');
    const text = await context.readText(args.scenario);
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch (cause) {
      const message = `'${args.scenario}' is no JSON: ${(cause as Error).message}.`;
      throw new AiosError('SPEC_INVALID', message, { cause });
    }
    const read = readScenario(document);
    let variant = '';
    const report = await runScenario(
      { ...read, seed: args.seed ?? read.seed },
      {
        policies: builtinPolicies,
        tried: await loadAll(context, args.policy ?? []),
        signal: context.signal,
        onVariant: (name) => {
          variant = name;
        },
        onProgress: (fraction) => context.progress.update(`${variant}: ${percent(fraction)}`),
      },
    );
    if (args.plot !== undefined) await writeFile(context.path(args.plot), plotReport(report));
    context.result(report, () => {
      const rows = report.variants.map((each) => [
        each.name,
        String(each.placed),
        String(each.refused),
        String(each.waiting),
        percent(each.mean.gpuMemoryFraction),
        percent(each.mean.memoryFraction),
        percent(each.mean.fragmentation),
        each.waitMinutes.mean.toFixed(2),
        each.decisionMs.median.toFixed(2),
        each.decisionMs.p99.toFixed(2),
      ]);
      const titles = ['variant', '>placed', '>refused', '>waiting', '>gpu memory', '>memory'];
      const refusals = report.variants.flatMap(({ name, refusals: found }) =>
        found.slice(0, 3).map(({ refusedBy, count }) => [name, String(count), refusedBy]),
      );
      return [
        `${report.nodes} nodes, ${report.gpus} GPUs, ${report.minutes} minutes, seed ${report.seed}`,
        context.table([...titles, '>fragmented', '>waited min', '>decision ms', '>p99 ms'], rows),
        ...(refusals.length > 0
          ? ['', context.table(['variant', '>refused', 'most often by'], refusals)]
          : []),
        ...(args.plot === undefined ? [] : [`plot: ${args.plot}`]),
      ].join('\n');
    });
  },
});
