import { AiosError } from '../../sdk/errors.ts';
import { nearest } from '../../sdk/nearest.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { numeric } from '../numbers.ts';

/** Looks the model up before a question is written. @throws {AiosError} NOT_FOUND - with the name that was meant */
async function findModel({ client }: Context, name: string): Promise<string> {
  try {
    return await client.model(name);
  } catch (error) {
    if (AiosError.from(error).code !== 'NOT_FOUND') throw error;
    const models = await client.models();
    const names = models.map((uri) => (name.includes(':') ? uri : uri.replace(/:.*/, '')));
    const close = nearest(name, names);
    const known = models.length === 0 ? 'none yet: aios create-plan --help' : models.join(', ');
    throw new AiosError(
      'NOT_FOUND',
      `there is no model '${name}'; ${close ? `did you mean '${close}'?` : `there is ${known}`}`,
      { cause: error },
    );
  }
}

export const chat = defineCommand({
  usage: 'chat <model>',
  summary: 'Talks with a split model; Ctrl-C stops an answer, /help lists the rest',
  examples: [
    ['aios chat tiny-assistant', 'a conversation'],
    [
      'aios chat tiny-assistant --timings',
      'with the time to the first token, of each, and where it went',
    ],
    ['echo "What is 47 + 38?" | aios chat tiny-assistant', 'one question a line'],
  ],
  options: (parser) =>
    parser
      .positional('model', {
        type: 'string',
        demandOption: true,
        describe: 'A vDAG, by URI or name',
      })
      .option('system', { type: 'string', describe: 'System message' })
      .option('temperature', {
        ...numeric('--temperature', { least: 0, most: 2 }),
        default: 0,
        describe: '0 is greedy',
      })
      .option('top-p', {
        ...numeric('--top-p', { least: 0, most: 1 }),
        describe: 'Keep the likeliest tokens up to this sum',
      })
      .option('top-k', {
        ...numeric('--top-k', { least: 0, whole: true }),
        describe: 'Keep this many of the likeliest tokens',
      })
      .option('repetition-penalty', {
        ...numeric('--repetition-penalty', { least: 0.01, most: 10 }),
        describe: '1 is none',
      })
      .option('seed', { ...numeric('--seed', { whole: true }), describe: 'Same seed, same answer' })
      .option('max-tokens', {
        ...numeric('--max-tokens', { least: 1, whole: true }),
        describe: 'Longest answer',
      })
      .option('timings', { type: 'boolean', describe: 'Say where the time of each answer went' })
      .option('stop', { type: 'string', array: true, nargs: 1, describe: 'End before this text' }),
  async run({ system, ...args }, context) {
    const model = await findModel(context, args.model);
    const { converse } = await import('../conversation.ts');
    await converse(context, {
      system,
      timings: args.timings,
      request: {
        model,
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
