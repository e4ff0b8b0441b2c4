import { errorCodes } from '../../../sdk/errors.ts';
import { defineCommand } from '../../command.ts';
import type { CaseResult } from '../../policy/run-cases.ts';

export const policyTest = defineCommand({
  usage: 'policy test <file>',
  summary: "Runs a policy's cases in the sandbox and reports which of its lines ran",
  examples: [
    ['aios policy test night-shift.ts', 'with night-shift.cases.json; exit code 5 when one fails'],
  ],
  options: (parser) =>
    parser
      .positional('file', { type: 'string', demandOption: true, describe: 'definePolicy(…)' })
      .option('cases', { type: 'string', describe: 'Another file of cases' })
      .option('min-coverage', {
        type: 'number',
        default: 0,
        describe: 'Percent of lines that must have run',
      }),
  async run(args, context) {
    const { casesFileOf, loadCases, loadLocalPolicy } = await import('../../policy/load.ts');
    const { lineRanges } = await import('../../policy/coverage.ts');
    const { measureCoverage } = await import('../../policy/measure-coverage.ts');
    const { runCase } = await import('../../policy/run-cases.ts');
    const { createTrial } = await import('../../../runtime/policy/index.ts');
    const { bundle } = await import('../../bundle.ts');

    const { path, spec, hook, source } = await loadLocalPolicy(context, args.file);
    const cases = await loadCases(context, hook, args.cases ?? casesFileOf(args.file));
    const measured = await measureCoverage(await bundle(path, 'policy', { minify: false }), cases);
    const trial = createTrial(spec, source);
    const results: CaseResult[] = [];
    try {
      for (const [at, one] of cases.entries()) {
        context.progress.update(`case ${at + 1} of ${cases.length}: ${one.name}`);
        results.push(await runCase(trial, one, measured?.outputs[at]));
      }
    } finally {
      await trial.close();
    }
    const files = measured?.files ?? [];
    const lines = files.reduce((sum, file) => sum + file.lines, 0);
    const covered = files.reduce((sum, file) => sum + file.covered, 0);
    const percent = lines === 0 ? 0 : (100 * covered) / lines;
    const failed = results.filter(({ passed }) => !passed).length;
    const good = failed === 0 && percent >= args.minCoverage;
    const { style } = context;
    context.result(
      { uri: spec.uri, good, cases: results, coverage: { percent, lines, covered, files } },
      () =>
        [
          ...results.map(({ name, passed, problem, logs }) =>
            [
              `${passed ? style.good('pass') : style.bad('FAIL')}  ${name}`,
              ...(problem === undefined ? [] : [`      ${problem}`]),
              ...(passed ? [] : logs.map((line) => style.dim(`      log: ${line}`))),
            ].join('\n'),
          ),
          '',
          `${results.length - failed} of ${results.length} cases passed; ${covered} of ${lines} lines ran (${percent.toFixed(0)} %)`,
          ...(percent < args.minCoverage
            ? [style.bad(`at least ${args.minCoverage} % were asked for (--min-coverage)`)]
            : []),
          ...files.flatMap(({ file, uncovered }) =>
            uncovered.length > 0 ? [`  ${file}: never ran ${lineRanges(uncovered)}`] : [],
          ),
        ].join('\n'),
    );
    return good ? 0 : errorCodes.NO_CANDIDATE.exit;
  },
});
