import { defineCommand } from '../command.ts';
import { renderSystem } from '../overview.ts';

export const status = defineCommand({
  usage: 'status',
  summary: 'Shows clusters, blocks, their processes and the vDAGs',
  examples: [['aios status', 'what is promised and what is really used']],
  options: (parser) => parser,
  async run(_args, context) {
    const system = await context.client.status({ signal: context.signal });
    context.result(system, () => renderSystem(system, context));
  },
});
