import { defineCommand } from '../command.ts';
import { readJsonOption } from '../json-option.ts';

export const estimate = defineCommand({
  usage: 'estimate <blockId>',
  summary: "Asks a block's load balancer how long a request would wait, or whether it is taken",
  examples: [
    ['aios estimate ocr', 'how many wait, and how long the next would'],
    [`aios estimate ocr --data '{"pages": 40}'`, 'whether such a request would be taken now'],
  ],
  options: (parser) =>
    parser
      .positional('blockId', { type: 'string', demandOption: true, describe: 'Of the block' })
      .option('data', { type: 'string', nargs: 1, describe: 'The request, as JSON; - reads it' }),
  async run({ blockId, data }, context) {
    const inputs = await readJsonOption(context, '--data', data);
    const answer = await context.client.managePolicy({
      ...{ target: `block/${blockId}`, hook: 'loadBalancer' },
      command: inputs === undefined ? 'estimate' : 'check_execute',
      ...(inputs === undefined ? {} : { data: inputs }),
    });
    context.result(answer.result, () => `${JSON.stringify(answer.result)} (${answer.policyUri})`);
  },
});
