import { AiosError } from '../../sdk/errors.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { parseJson } from '../documents.ts';

export const infer = defineCommand({
  usage: 'infer <kind> <id>',
  summary: 'Calls a block or a vDAG once and prints its answer',
  examples: [
    [`aios infer block hello --data '{"name":"you"}'`, 'data on the command line'],
    [`echo '{"name":"you"}' | aios infer block hello --data -`, 'from standard input'],
    ['aios infer vdag pipeline:1.0.0-stable --data @request.json --stream', 'partial results too'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: ['block', 'vdag'] as const, demandOption: true })
      .positional('id', { type: 'string', demandOption: true, describe: 'Block id or vDAG URI' })
      .option('data', {
        type: 'string',
        demandOption: true,
        // Or `--data -` would be an option without its value.
        nargs: 1,
        describe: 'JSON, @FILE, or - for standard input',
      })
      .option('session', { type: 'string', describe: 'Session id; a new one when absent' })
      .option('timeout', { type: 'string', describe: 'How long the answer may take, as 30s' })
      .option('stream', {
        type: 'boolean',
        describe: 'Print partial results, one JSON a line; with --json as {"final", "data"}',
      }),
  async run(args, context) {
    const { kind, id, data, session, stream } = args;
    const file = data === '-' ? '-' : data.startsWith('@') ? data.slice(1) : undefined;
    const text = file === undefined ? data : await context.readText(file);
    const request = {
      kind,
      id,
      data: parseJson(text, file ?? '--data'),
      sessionId: session,
      timeoutMs: args.timeout === undefined ? undefined : parseDurationMs(args.timeout),
      signal: context.signal,
    };
    let answered = false;
    for await (const event of context.client.infer(request)) {
      answered ||= event.final;
      if (!event.final && !stream) continue;
      const shown = stream && context.json ? event : event.data;
      context.print(JSON.stringify(shown, undefined, context.json || stream ? 0 : 2));
    }
    if (!answered) {
      throw new AiosError('CONNECTION_FAILED', `the answer of ${kind} '${id}' was cut off.`);
    }
  },
});
