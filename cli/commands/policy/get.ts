import { defineCommand } from '../../command.ts';

export const policyGet = defineCommand({
  usage: 'policy get <uri>',
  summary: 'Shows one policy: when to choose it, its hash, where it runs, and what it takes',
  examples: [['aios policy get night-shift:1.0.0-stable', 'its document as JSON']],
  options: (parser) =>
    parser.positional('uri', { type: 'string', demandOption: true, describe: 'name:version-tag' }),
  async run({ uri }, context) {
    const policy = await context.client.get('policy', uri);
    context.result(policy, () => JSON.stringify(policy, null, 2));
  },
});
