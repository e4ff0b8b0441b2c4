import { defineCommand } from '../command.ts';

export const chat = defineCommand({
  usage: 'chat <model>',
  summary: 'Talks with a split model; Ctrl-C stops an answer, /exit ends',
  examples: [
    ['aios chat tiny-assistant', 'a conversation'],
    ['echo "What is 2 + 2?" | aios chat tiny-assistant', 'one question a line'],
  ],
  options: (parser) =>
    parser
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'A vDAG, by URI or name',
      })
      .option('system', { type: 'string', describe: 'System message' })
      .option('temperature', { type: 'number', default: 0, describe: '0 is greedy' })
      .option('top-p', { type: 'number', describe: 'Keep the likeliest tokens up to this sum' })
      .option('top-k', { type: 'number', describe: 'Keep this many of the likeliest tokens' })
      .option('repetition-penalty', { type: 'number', describe: '1 is none' })
      .option('seed', { type: 'number', describe: 'Same seed, same answer' })
      .option('max-tokens', { type: 'number', describe: 'Longest answer' })
      .option('stop', { type: 'string', array: true, nargs: 1, describe: 'End before this text' }),
  async run({ system, ...args }, context) {
    const { converse } = await import('../conversation.ts');
    await converse(context, {
      system,
      request: {
        model: args.model,
        temperature: args.temperature,
        topP: args.topP,
        topK: args.topK,
        repetitionPenalty: args.repetitionPenalty,
        seed: args.seed,
        maxTokens: args.maxTokens,
        stop: args.stop,
      },
    });
  },
});
