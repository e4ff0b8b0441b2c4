import { isSplitTaskOver } from '../../../sdk/client/split-task.ts';
import { defineCommand } from '../../command.ts';

const pollMs = 500;

export const splitTaskLogs = defineCommand({
  usage: 'split-task logs <id>',
  summary: 'Prints what a split task and its splitter wrote, of all attempts',
  examples: [['aios split-task logs split-… --follow', 'until it is over']],
  options: (parser) =>
    parser
      .positional('id', { type: 'string', demandOption: true })
      .option('follow', { type: 'boolean', describe: 'Wait for more' }),
  async run({ id, follow }, context) {
    const { client, signal } = context;
    let shown: readonly string[] = [];
    for (;;) {
      const isOver = isSplitTaskOver(await client.splitTask(id));
      const { lines } = await client.splitTaskLogs(id);
      const fresh = newLines(shown, lines);
      shown = lines;
      if (context.json && !follow) context.print(JSON.stringify({ lines: fresh }));
      else for (const line of fresh) context.print(context.json ? JSON.stringify(line) : line);
      if (!follow || isOver) return;
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  },
});

/** What came since: the first lines may have been dropped meanwhile. */
export function newLines(before: readonly string[], now: readonly string[]): readonly string[] {
  const last = before.at(-1);
  if (last === undefined) return now;
  for (let at = now.length - 1; at >= 0; at -= 1) {
    if (now[at] !== last) continue;
    const overlap = now.slice(Math.max(0, at + 1 - before.length), at + 1);
    const tail = before.slice(before.length - overlap.length);
    if (overlap.every((line, index) => line === tail[index])) return now.slice(at + 1);
  }
  return now;
}
