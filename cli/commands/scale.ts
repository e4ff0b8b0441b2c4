import { defineCommand } from '../command.ts';
import { numeric } from '../numbers.ts';

export const scale = defineCommand({
  usage: 'scale <kind> <id> [instances]',
  summary: 'Sets how many instances a block has, or asks its autoscaler now',
  examples: [
    ['aios scale block ocr 3', 'within its minInstances and maxInstances'],
    ['aios scale block ocr', 'what its autoscaler says, done'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: ['block'] as const, demandOption: true })
      .positional('id', { type: 'string', demandOption: true, describe: 'Of the block' })
      .positional('instances', {
        ...numeric('<instances>', { least: 0, whole: true }),
        requiresArg: false,
        describe: 'How many it shall have',
      }),
  async run({ id, instances }, context) {
    const { client, style } = context;
    if (instances === undefined) {
      const decision = await client.autoscale(id);
      context.result(decision, () => `${decision.outcome}: ${decision.message}`);
      return;
    }
    const status = await client.scale(id, instances);
    context.result(
      status,
      () =>
        `block ${style.bold(id)} shall have ${status.instances} instances (${status.minInstances} to ${status.maxInstances})`,
    );
  },
});
