import { defineCommand } from '../command.ts';
import { numeric } from '../numbers.ts';

export const evaluate = defineCommand({
  usage: 'evaluate <plan>',
  summary: 'Measures on a text how far a split is from the model it was made of',
  examples: [
    ['aios evaluate plan --against models/tiny-assistant --text story.txt', 'what int4 costs'],
    ['aios evaluate plan-int4 --against plan-int8 --text story.txt --json', 'two splits'],
  ],
  options: (parser) =>
    parser
      .positional('plan', {
        type: 'string',
        demandOption: true,
        describe: 'A folder that aios split wrote',
      })
      .option('against', {
        type: 'string',
        nargs: 1,
        demandOption: true,
        describe: 'The model’s folder, computed in fp32, or another split',
      })
      .option('text', {
        type: 'string',
        nargs: 1,
        demandOption: true,
        describe: 'A text file, or - for standard input',
      })
      .option('tokens', {
        ...numeric('--tokens', { least: 2, whole: true }),
        describe: 'Of the text that are read at most',
        defaultDescription: '2048',
      })
      .option('window', {
        ...numeric('--window', { least: 2, whole: true }),
        describe: 'Tokens that are read together',
        defaultDescription: '256',
      })
      .option('threads', {
        ...numeric('--threads', { least: 1, most: 1024, whole: true }),
        describe: 'To compute with',
        defaultDescription: '1',
      }),
  async run(args, context) {
    const { evaluateHere, renderEvaluation } = await import('../evaluate.ts');
    const text = await context.readText(args.text);
    const evaluation = await evaluateHere(context, { ...args, text });
    context.result(evaluation, () => renderEvaluation(evaluation, args, context));
  },
});
