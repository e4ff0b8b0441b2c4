import type { Command } from '../command.ts';
import { artifacts, artifactsPrune } from './artifacts.ts';
import { chat } from './chat.ts';
import { cordon, uncordon } from './cordon.ts';
import { createBlock } from './create-block.ts';
import { createCluster } from './create-cluster.ts';
import { createComponent } from './create-component.ts';
import { createPlan } from './create-plan.ts';
import { createPolicy } from './create-policy.ts';
import { createVdag } from './create-vdag.ts';
import { deleteResource } from './delete.ts';
import { estimate } from './estimate.ts';
import { evaluate } from './evaluate.ts';
import { explain } from './explain.ts';
import { filter } from './filter.ts';
import { get } from './get.ts';
import { infer } from './infer.ts';
import { logs } from './logs.ts';
import { networkGet, networkSet, networkUnset } from './network.ts';
import { addNode, removeNode } from './nodes.ts';
import { policyBench } from './policy/bench.ts';
import { policyCall } from './policy/call.ts';
import { policyCheck } from './policy/check.ts';
import { policyGet } from './policy/get.ts';
import { policyJobs } from './policy/jobs.ts';
import { policyList } from './policy/list.ts';
import { policyManage } from './policy/manage.ts';
import { policyNew } from './policy/new.ts';
import { policyPublish } from './policy/publish.ts';
import { policyRun } from './policy/run.ts';
import { policyTest } from './policy/test.ts';
import { preCheck } from './pre-check.ts';
import { replay } from './replay.ts';
import { scale } from './scale.ts';
import { schema } from './schema.ts';
import { search } from './search.ts';
import { shadow } from './shadow.ts';
import { simulate } from './simulate.ts';
import { split } from './split.ts';
import { splitTaskCreate } from './split-task/create.ts';
import { splitTaskGet, splitTaskList, splitTaskModels } from './split-task/get.ts';
import { splitTaskLogs } from './split-task/logs.ts';
import { splitTaskRun } from './split-task/run.ts';
import { splitTaskCancel, splitTaskRetry } from './split-task/steer.ts';
import { status } from './status.ts';
import { top } from './top.ts';
import { up } from './up.ts';

/** Every command, in the order of `aios --help`. A new one: its file, and its line here. */
export const commands: readonly Command[] = [
  up,
  status,
  top,
  split,
  evaluate,
  splitTaskRun,
  splitTaskList,
  splitTaskGet,
  splitTaskLogs,
  splitTaskCreate,
  splitTaskCancel,
  splitTaskRetry,
  splitTaskModels,
  createPlan,
  chat,
  infer,
  createCluster,
  createComponent,
  createBlock,
  createVdag,
  createPolicy,
  policyNew,
  policyCheck,
  policyTest,
  policyBench,
  policyPublish,
  policyList,
  policyGet,
  policyManage,
  policyCall,
  policyRun,
  policyJobs,
  get,
  explain,
  simulate,
  replay,
  shadow,
  filter,
  search,
  scale,
  estimate,
  addNode,
  removeNode,
  cordon,
  uncordon,
  networkGet,
  networkSet,
  networkUnset,
  preCheck,
  logs,
  deleteResource,
  artifacts,
  artifactsPrune,
  schema,
];
