import { errorCodes } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { optionalActions } from '../../../sdk/hooks/optional.ts';
import { defineCommand } from '../../command.ts';

export const policyCheck = defineCommand({
  usage: 'policy check <file>',
  summary: 'Bundles a policy, loads it in the sandbox and asks it one question an action',
  examples: [
    ['aios policy check night-shift.ts', 'needs no control plane; exit code 5 on a fault'],
  ],
  options: (parser) =>
    parser.positional('file', { type: 'string', demandOption: true, describe: 'definePolicy(…)' }),
  async run({ file }, context) {
    const { loadLocalPolicy } = await import('../../policy/load.ts');
    const { createTrial } = await import('../../../runtime/policy/index.ts');
    const { spec, hook, source, bundled } = await loadLocalPolicy(context, file);
    const trial = createTrial(spec, source);
    const optional = Object.keys((optionalActions as Readonly<Record<string, object>>)[hook] ?? {});
    const rows: { action: string; ok: boolean; durationMs: number; error?: string }[] = [];
    try {
      for (const [action, input] of Object.entries(exampleInputs[hook])) {
        if (optional.includes(action)) continue;
        const { error, durationMs } = await trial.run({ action, input });
        const fault = error ? { error: `${error.code} ${error.message}` } : {};
        rows.push({ action, ok: !error, durationMs, ...fault });
      }
    } finally {
      await trial.close();
    }
    const good = rows.every(({ ok }) => ok);
    const { style } = context;
    context.result({ uri: spec.uri, hook, hash: bundled.hash, good, actions: rows }, () =>
      [
        `${style.bold(spec.uri)}  hook ${hook}, ${Math.round(source.length / 1024)} KB, ${bundled.hash.slice(0, 19)}`,
        context.table(
          ['action', '>ms', 'answer'],
          rows.map(({ action, durationMs, error }) => [
            action,
            durationMs.toFixed(1),
            error === undefined ? style.good('ok') : style.bad(error),
          ]),
        ),
      ].join('\n'),
    );
    return good ? 0 : errorCodes.NO_CANDIDATE.exit;
  },
});
