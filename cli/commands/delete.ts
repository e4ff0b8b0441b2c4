import { defineCommand } from '../command.ts';
import { findVdag } from '../find-vdag.ts';
import { kindNames, toKind } from '../kinds.ts';

export const deleteResource = defineCommand({
  usage: 'delete <kind> <id>',
  summary: 'Deletes one thing; a block’s instances end first',
  examples: [
    ['aios delete block ocr', 'refused with what refers to it, if anything does'],
    ['aios delete vdag tiny-assistant --cascade', 'a split model: all that create-plan made'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: kindNames, demandOption: true })
      .positional('id', { type: 'string', demandOption: true })
      .option('cascade', {
        type: 'boolean',
        describe: 'Also the blocks and components under it that nothing else uses',
      }),
  async run(args, context) {
    const { client, style } = context;
    const kind = toKind(args.kind);
    const id = kind === 'vdag' ? await findVdag(client, args.id) : args.id;
    if (!args.cascade) {
      await client.delete(kind, id);
      context.result({ kind, id }, () => `${kind} ${style.bold(id)} deleted`);
      return;
    }
    const { deleteCascade } = await import('../delete-cascade.ts');
    const outcome = await deleteCascade(client, { kind, id }, (now) =>
      context.progress.update(now),
    );
    context.result(outcome, () =>
      [
        ...outcome.deleted.map((thing) => `${thing.kind} ${style.bold(thing.id)} deleted`),
        ...outcome.kept.map((thing) => `${thing.kind} ${thing.id} kept: something else uses it`),
      ].join('\n'),
    );
  },
});
