import { defineCommand } from '../../command.ts';

export const splitTaskCancel = defineCommand({
  usage: 'split-task cancel <id>',
  summary: 'Ends a split task, or forgets one that is over',
  examples: [['aios split-task cancel split-…', 'nothing of it is left but its log']],
  options: (parser) => parser.positional('id', { type: 'string', demandOption: true }),
  async run({ id }, context) {
    const task = await context.client.cancelSplit(id);
    context.result(task, () =>
      task.state === 'cancelled'
        ? `task ${context.style.bold(id)} cancelled`
        : `task ${context.style.bold(id)} ${task.state}, and forgotten`,
    );
  },
});

export const splitTaskRetry = defineCommand({
  usage: 'split-task retry <id>',
  summary: 'Begins a split task anew that failed or was cancelled',
  examples: [['aios split-task retry split-…', 'with all its attempts']],
  options: (parser) => parser.positional('id', { type: 'string', demandOption: true }),
  async run({ id }, context) {
    const task = await context.client.retrySplit(id);
    context.result(task, () => `task ${context.style.bold(id)} ${task.state}`);
  },
});
