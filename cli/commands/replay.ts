import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { parseJson } from '../documents.ts';
import { numeric } from '../numbers.ts';
import { renderReplay } from '../replay.ts';

/** Ends with it where an answer is not what it was. */
export const differsExitCode = 9;

/** A JSON object given on the command line. @throws {AiosError} SPEC_INVALID, REQUEST_INVALID */
export function jsonOption(
  text: string | undefined,
  option: string,
): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined;
  const value = parseJson(text, option);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new AiosError('REQUEST_INVALID', `${option} must be a JSON object such as '{"a": 1}'.`);
}

/** A decision by its id, or the newest that a policy made about a thing: `block/hello`. @throws {AiosError} NOT_FOUND */
async function decisionId(name: string, { client }: Context): Promise<string> {
  if (!name.includes('/')) return name;
  const about = await client.decisions({ subject: name, limit: 50 });
  const newest = about.find(({ policies }) => policies.length > 0) ?? about[0];
  if (newest) return newest.id;
  throw new AiosError(
    'NOT_FOUND',
    `no decision about '${name}' is kept. List those that are with: aios get decisions`,
  );
}

export const replay = defineCommand({
  usage: 'replay <decision>',
  summary: `Makes a past decision again: the same answer (exit 0) or a difference (exit ${differsExitCode})`,
  examples: [
    ['aios replay decision-1f0c', 'the same policies on the recorded input, state, time and seed'],
    ['aios replay block/hello', 'the newest decision about it'],
    [
      'aios replay decision-1f0c --with spread:1.0.0-stable',
      'where another policy would have put it',
    ],
    [
      `aios replay decision-1f0c --evaluation 2 --parameters '{"reserve": 0.2}'`,
      'one of its policies, configured otherwise; aios explain shows the numbers',
    ],
  ],
  options: (parser) =>
    parser
      .positional('decision', {
        type: 'string',
        demandOption: true,
        describe: 'Its id, or what it is about',
      })
      .option('with', { type: 'string', nargs: 1, describe: 'URI of another policy' })
      .option('parameters', {
        type: 'string',
        nargs: 1,
        describe: 'JSON, in place of the recorded',
      })
      .option('settings', { type: 'string', nargs: 1, describe: 'JSON, in place of the recorded' })
      .option('evaluation', {
        ...numeric('--evaluation', { least: 0, whole: true }),
        describe: 'Only this one of its evaluations',
      }),
  async run(args, context) {
    const parameters = jsonOption(args.parameters, '--parameters');
    const settings = jsonOption(args.settings, '--settings');
    const other = args.with !== undefined || parameters || settings;
    const result = await context.client.replay(await decisionId(args.decision, context), {
      ...(args.evaluation === undefined ? {} : { evaluation: args.evaluation }),
      ...(other ? { with: { policyRuleURI: args.with, parameters, settings } } : {}),
    });
    context.result(result, () => renderReplay(result, context));
    return result.same ? 0 : differsExitCode;
  },
});
