import { AiosError } from '../../../sdk/errors.ts';
import { defineCommand } from '../../command.ts';
import { readJsonOption } from '../../json-option.ts';

const isFunction = (target: string): boolean => target.startsWith('function/');

export const policyManage = defineCommand({
  usage: 'policy manage <target> <words..>',
  summary: 'Tells a policy something at one of its uses: [hook] command',
  examples: [
    ['aios policy manage block/ocr loadBalancer reset', 'its management("reset", {}, context)'],
    ['aios policy manage cluster/home preCheck.add_block show', 'of one pre-check'],
    [
      `aios policy manage function/counter:1.0.0-stable add --data '{"by": 2}'`,
      'of a deployed function',
    ],
  ],
  options: (parser) =>
    parser
      .positional('target', {
        type: 'string',
        demandOption: true,
        describe: 'block/ID, cluster/ID, network, function/URI',
      })
      .positional('words', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'The hook, but for functions, and the command',
      })
      .option('data', { type: 'string', nargs: 1, describe: 'JSON for the command; - reads it' }),
  async run({ target, words, data }, context) {
    const expected = isFunction(target) ? ['command'] : ['hook', 'command'];
    if (words.length !== expected.length) {
      const wanted = expected.map((word) => `<${word}>`).join(' ');
      const message = `${target} takes ${wanted} after it, not ${words.length} words. See aios policy manage --help.`;
      throw new AiosError('REQUEST_INVALID', message);
    }
    const [command = '', hook] = [...words].reverse();
    const given = await readJsonOption(context, '--data', data);
    const answer = await context.client.managePolicy({
      ...{ target, command },
      ...(hook === undefined ? {} : { hook }),
      ...(given === undefined ? {} : { data: given }),
    });
    context.result(answer, () =>
      [
        ...answer.logs.map((line) => context.style.dim(`  ${line}`)),
        JSON.stringify(answer.result, null, 2),
        context.style.dim(
          `${answer.policyUri}: what it keeps ${answer.stateChanged ? 'changed' : 'stays'}; decision ${answer.decisionId}`,
        ),
      ].join('\n'),
    );
  },
});
