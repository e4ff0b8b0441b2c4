import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';

const leastIntervalMs = 200;

export const top = defineCommand({
  usage: 'top',
  summary: 'Shows live how fast models answer and what their shards do; q leaves',
  examples: [
    ['aios top', 'tokens a second, sessions, queues, batches and memory'],
    ['aios top --once', 'one table, as it is also where the output is no terminal'],
    ['aios top --json', 'the same for programs'],
  ],
  options: (parser) =>
    parser
      .option('interval', {
        type: 'string',
        default: '2s',
        describe: 'Time between readings; speeds are averages over it',
      })
      .option('once', { type: 'boolean', describe: 'Print one table and end' }),
  async run({ interval, once }, context) {
    const intervalMs = Math.max(leastIntervalMs, parseDurationMs(interval));
    const { readTop, runTop } = await import('../top/live.ts');
    if (context.io.stdout.isTTY && !once && !context.json) return runTop(context, intervalMs);
    const view = await readTop(context, intervalMs);
    const { renderTop } = await import('../top/render.ts');
    context.result(view, () => renderTop(view, context));
  },
});
