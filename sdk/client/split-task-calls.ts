import { apiPrefix } from './api.ts';
import type { Http } from './http.ts';
import type { SplitTaskCalls } from './split-task.ts';

export function createSplitTaskCalls(http: Http): SplitTaskCalls {
  const tasks = `${apiPrefix}/split-tasks`;
  const one = (id: string): string => `${tasks}/${encodeURIComponent(id)}`;
  return {
    modelFolders: () => http.json(`${apiPrefix}/model-folders`),
    submitSplit: (request) => http.json(tasks, { json: request }),
    splitTasks: () => http.json(tasks),
    splitTask: (id) => http.json(one(id)),
    splitTaskLogs: (id) => http.json(`${one(id)}/logs`),
    splitTaskPlan: (id) => http.json(`${one(id)}/plan`),
    retrySplit: (id) => http.json(`${one(id)}/retry`, { method: 'POST' }),
    cancelSplit: (id) => http.json(one(id), { method: 'DELETE' }),
  };
}
