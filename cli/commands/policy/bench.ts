import { AiosError } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { defineCommand } from '../../command.ts';
import type { PolicyCase } from '../../policy/cases.ts';

interface Row extends Pick<PolicyCase, 'name' | 'action'> {
  readonly evaluations: number;
  readonly evaluationsPerSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

export const policyBench = defineCommand({
  usage: 'policy bench <file>',
  summary: 'Measures how many decisions a second a policy takes in the sandbox',
  examples: [['aios policy bench night-shift.ts --seconds 3', 'of its cases, or of the example']],
  options: (parser) =>
    parser
      .positional('file', { type: 'string', demandOption: true, describe: 'definePolicy(…)' })
      .option('cases', { type: 'string', describe: 'Another file of cases' })
      .option('seconds', { type: 'number', default: 2, describe: 'For each action' }),
  async run(args, context) {
    const { casesFileOf, loadCases, loadLocalPolicy } = await import('../../policy/load.ts');
    const { createTrial } = await import('../../../runtime/policy/index.ts');
    const { spec, hook, source } = await loadLocalPolicy(context, args.file);
    const file = args.cases ?? casesFileOf(args.file);
    const cases = await loadCases(context, hook, file).catch((fault: unknown) => {
      if (args.cases === undefined && AiosError.from(fault).code === 'NOT_FOUND') return [];
      throw fault;
    });
    const questions: readonly Pick<PolicyCase, 'name' | 'action' | 'input'>[] =
      cases.length > 0
        ? cases
        : Object.entries(exampleInputs[hook]).map(([action, input]) => ({
            ...{ name: `example ${action}`, action, input },
          }));
    const trial = createTrial(spec, source);
    const rows: Row[] = [];
    try {
      for (const { name, action, input } of questions) {
        context.progress.update(name);
        await trial.run({ action, input });
        const endMs = performance.now() + (args.seconds * 1000) / questions.length;
        const startedMs = performance.now();
        const durationsMs: number[] = [];
        while (performance.now() < endMs && !context.signal.aborted) {
          durationsMs.push((await trial.run({ action, input })).durationMs);
        }
        const elapsedMs = performance.now() - startedMs;
        durationsMs.sort((a, b) => a - b);
        const evaluationsPerSecond = Math.round((1000 * durationsMs.length) / elapsedMs);
        const medianMs = durationsMs[Math.floor(durationsMs.length / 2)] ?? 0;
        const p99Ms = durationsMs[Math.floor(durationsMs.length * 0.99)] ?? 0;
        rows.push({
          name,
          action,
          evaluations: durationsMs.length,
          evaluationsPerSecond,
          medianMs,
          p99Ms,
        });
      }
    } finally {
      await trial.close();
    }
    context.result({ uri: spec.uri, rows }, () =>
      context.table(
        ['question', '>evaluations/s', '>median ms', '>p99 ms'],
        rows.map((row) => [
          row.name,
          String(row.evaluationsPerSecond),
          row.medianMs.toFixed(3),
          row.p99Ms.toFixed(3),
        ]),
      ),
    );
  },
});
