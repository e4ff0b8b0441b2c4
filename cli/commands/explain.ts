import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import { renderDecision } from '../decision.ts';

export const explain = defineCommand({
  usage: 'explain <kind> <id>',
  summary: 'Shows why a block was placed where it is: every candidate, condition and score',
  examples: [
    ['aios explain block ocr', 'the newest decision'],
    ['aios explain block ocr --all', 'and those before it'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: ['block'] as const, demandOption: true })
      .positional('id', { type: 'string', demandOption: true, describe: 'Of the block' })
      .option('all', { type: 'boolean', describe: 'Every decision, newest first' }),
  async run({ id, all }, context) {
    const decisions = await context.client.explain(id);
    if (decisions.length === 0) {
      throw new AiosError('NOT_FOUND', `no decision about block '${id}' was recorded yet.`);
    }
    const shown = all ? decisions : decisions.slice(0, 1);
    context.result(shown, () =>
      shown.map((decision) => renderDecision(decision, context)).join('\n\n'),
    );
  },
});
