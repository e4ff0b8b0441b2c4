import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import { numeric } from '../numbers.ts';

export const logs = defineCommand({
  usage: 'logs <id>',
  summary: 'Prints what a block or one of its instances logged',
  examples: [
    ['aios logs ocr --follow', 'all instances of a block, as lines come'],
    ['aios logs ocr-7f3a --tail 20', 'one instance'],
  ],
  options: (parser) =>
    parser
      .positional('id', { type: 'string', demandOption: true, describe: 'A block or an instance' })
      .option('tail', {
        ...numeric('--tail', { least: 0, most: 10_000, whole: true }),
        default: 100,
        describe: 'Lines from before',
      })
      .option('follow', { alias: 'F', type: 'boolean', describe: 'Wait for more; Ctrl-C ends' }),
  async run({ id, tail, follow }, context) {
    const { client, signal } = context;
    const isBlock = await client.get('block', id).then(
      () => true,
      (error) => {
        if (AiosError.from(error).code === 'NOT_FOUND') return false;
        throw error;
      },
    );
    const target = isBlock ? { blockId: id } : { instanceId: id };
    try {
      for await (const line of client.logs(target, { tail, follow, signal })) {
        context.print(context.json ? JSON.stringify(line) : line);
      }
    } catch (cause) {
      if (isBlock || AiosError.from(cause).code !== 'NOT_FOUND') throw cause;
      const message = `there is no block and no instance '${id}'. List them with: aios status`;
      throw new AiosError('NOT_FOUND', message, { cause });
    }
  },
});
