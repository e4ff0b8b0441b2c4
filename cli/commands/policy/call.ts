import { defineCommand } from '../../command.ts';
import { readJsonOption } from '../../json-option.ts';

export const policyCall = defineCommand({
  usage: 'policy call <uri>',
  summary: "Calls a policy of hook 'function': code, a service elsewhere, or a graph of them",
  examples: [
    [`aios policy call counter:1.0.0-stable --data '{"by": 2}'`, 'prints what it answers'],
  ],
  options: (parser) =>
    parser
      .positional('uri', { type: 'string', demandOption: true, describe: 'name:version-tag' })
      .option('data', { type: 'string', nargs: 1, describe: 'JSON it is given; - reads it' })
      .option('parameters', { type: 'string', nargs: 1, describe: 'JSON object' }),
  async run({ uri, data, parameters }, context) {
    const input = await readJsonOption(context, '--data', data);
    const given = await readJsonOption(context, '--parameters', parameters);
    const answer = await context.client.callFunction({
      policyRuleURI: uri,
      ...(input === undefined ? {} : { input }),
      ...(given === undefined ? {} : { parameters: given as Record<string, unknown> }),
    });
    for (const line of answer.logs) context.note(context.style.dim(line));
    context.result(answer, () => JSON.stringify(answer.output, null, 2));
  },
});
