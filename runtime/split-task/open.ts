import type { ModelFolder } from '../../sdk/client/split-task.ts';
import { endLeftProcess } from './left-process.ts';
import { createModelFolders } from './model-folders.ts';
import { createPerform, type PerformParts } from './perform.ts';
import type { SplitTasks, SplitTasksOptions } from './task-contract.ts';
import { openSplitTasks } from './tasks.ts';

/** Split tasks with what they may be about. */
export interface SplitService extends SplitTasks {
  models(): Promise<readonly ModelFolder[]>;
}

/** @param parts - `modelFolders`: absolute paths of folders that hold models */
export async function openSplitService(
  parts: Omit<PerformParts, 'models'> &
    Pick<SplitTasksOptions, 'store' | 'log'> & { readonly modelFolders: readonly string[] },
): Promise<SplitService> {
  const models = createModelFolders(parts.modelFolders);
  const { perform, forget, keepOnly } = createPerform({ ...parts, models });
  const tasks = await openSplitTasks({
    store: parts.store,
    ...(parts.log ? { log: parts.log } : {}),
    ...{ perform, forget, keepOnly, endWorker: endLeftProcess },
    async check(tenant, request) {
      await models.resolve(request.model);
      if (request.splitter !== undefined) await parts.artifacts.path(request.splitter);
      parts.fitFor(tenant, request.fit);
    },
  });
  return { ...tasks, models: () => models.list() };
}
