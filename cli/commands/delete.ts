import { defineCommand } from '../command.ts';
import { kindNames, toKind } from '../kinds.ts';

export const deleteResource = defineCommand({
  usage: 'delete <kind> <id>',
  summary: 'Deletes one thing; a block’s instances end first',
  examples: [['aios delete block ocr', 'refused with what refers to it, if anything does']],
  options: (parser) =>
    parser
      .positional('kind', { choices: kindNames, demandOption: true })
      .positional('id', { type: 'string', demandOption: true }),
  async run(args, context) {
    const kind = toKind(args.kind);
    await context.client.delete(kind, args.id);
    context.result({ kind, id: args.id }, () => `${kind} ${context.style.bold(args.id)} deleted`);
  },
});
