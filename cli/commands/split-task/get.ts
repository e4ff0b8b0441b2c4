import { defineCommand } from '../../command.ts';
import { renderTasks } from '../../split-task.ts';

export const splitTaskList = defineCommand({
  usage: 'split-task list',
  summary: 'Lists splits that the control plane runs or ran, the newest first',
  examples: [['aios split-task list', 'state, attempts and how far each is']],
  options: (parser) => parser,
  async run(_args, context) {
    const tasks = await context.client.splitTasks();
    context.result(tasks, () => renderTasks(tasks, context));
  },
});

export const splitTaskGet = defineCommand({
  usage: 'split-task get <id>',
  summary: 'Shows one split task',
  examples: [['aios split-task get split-…', 'state, progress, place, error']],
  options: (parser) => parser.positional('id', { type: 'string', demandOption: true }),
  async run({ id }, context) {
    const task = await context.client.splitTask(id);
    context.result(task, () => JSON.stringify(task, undefined, 2));
  },
});

export const splitTaskModels = defineCommand({
  usage: 'split-task models',
  summary: 'Lists models that the control plane may split: what `aios up --models` names',
  examples: [['aios split-task models', 'ids for `aios split-task run`']],
  options: (parser) => parser,
  async run(_args, context) {
    const found = await context.client.modelFolders();
    context.result(found, () =>
      found.length === 0
        ? 'none; the operator names folders with: aios up --models FOLDER'
        : context.table(
            ['model', 'kind'],
            found.map(({ id, kind }) => [id, kind]),
          ),
    );
  },
});
