import { copyFile, link, mkdir, readdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { CreatedPlan } from '../../sdk/client/api.ts';
import type { SplitTask } from '../../sdk/client/split-task.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import { hooks } from '../../sdk/hooks.ts';
import { type PlannerFit, plannedModel } from '../../sdk/planner-question.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';
import type { ArtifactStore } from '../control-plane.ts';
import type { Layers } from '../layer/index.ts';
import { defaultMaxSessions } from '../model/index.ts';
import type { PolicyHost } from '../policy/host.ts';
import { type FindNodeParts, findNode, type HeldNode } from './find-node.ts';
import { keepArtifacts } from './keep-artifacts.ts';
import { layerLookup } from './layer-lookup.ts';
import type { LeftProcess } from './left-process.ts';
import type { ModelFolders } from './model-folders.ts';
import type { SplitRequest } from './request.ts';
import { runSplitWorker } from './run-worker.ts';

export interface Attempt {
  readonly tenant: string;
  readonly taskId: string;
  /** From 1. */
  readonly attempt: number;
  readonly request: SplitRequest;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  readonly note: (change: Partial<SplitTask>) => void;
  /** Told which process works on it, before that does. */
  readonly onStarted?: (worker: LeftProcess) => Promise<unknown>;
}

/** Splits once: its files are artifacts when it is done, and nothing else is left of it. */
export type Perform = (
  attempt: Attempt,
) => Promise<{ readonly plan: SplitPlan; readonly created?: CreatedPlan }>;

export interface PerformParts extends FindNodeParts {
  /** Absolute; what is written while a task runs lies in `splits/<id>` below it. */
  readonly dataDirectory: string;
  readonly models: ModelFolders;
  readonly artifacts: ArtifactStore;
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  readonly layers: Layers;
  /** Of the clusters named, as they are now. @throws {AiosError} NOT_FOUND */
  readonly fitFor: (tenant: string, clusterIds: readonly string[]) => PlannerFit;
  readonly inventoryRevision: () => number;
  readonly createPlan: (tenant: string, plan: SplitPlan) => Promise<CreatedPlan>;
}

const mebibyte = 2 ** 20;

/** What was asked for, but no more than this machine, or the container that we run in, has. */
export function heapMebibytes(wantedBytes: number): number {
  // 0, or more than there is: nothing but the machine bounds us.
  const boundBytes = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  return Math.floor(Math.min(wantedBytes, boundBytes, totalmem()) / mebibyte);
}

/** Where tasks write while they are not over: what an attempt leaves, the next takes up. */
export interface TaskFolders {
  readonly perform: Perform;
  /** Removes what a task wrote. */
  forget(taskId: string): Promise<void>;
  /** Removes what all others wrote. */
  keepOnly(taskIds: ReadonlySet<string>): Promise<void>;
}

export function createPerform(parts: PerformParts): TaskFolders {
  const splits = join(parts.dataDirectory, 'splits');
  const forget = (taskId: string) => rm(join(splits, taskId), { recursive: true, force: true });

  async function split(attempt: Attempt, folder: string): Promise<SplitPlan> {
    const { tenant, taskId, request, signal, log, note, onStarted } = attempt;
    const splitterFile = await placeSplitter(parts, request, folder);
    const { layers } = parts;
    return runSplitWorker({
      order: {
        task: { id: taskId, attempt: attempt.attempt },
        ...(splitterFile ? { splitterFile } : {}),
        split: {
          modelFolder: await parts.models.resolve(request.model),
          outFolder: join(folder, 'plan'),
          planner: request.planner ?? hooks.splitPlanner.defaultPolicy,
          hashCachePath: join(parts.dataDirectory, 'hashes.json'),
          ...optionsOf(request),
        },
      },
      plan: (outline) => askPlanner(parts, attempt, outline),
      layers: layerLookup(layers, tenant),
      onProgress: (progress) => note({ progress }),
      onLog: log,
      signal,
      heapMebibytes: heapMebibytes(request.memoryBytes),
      ...(onStarted ? { onStarted } : {}),
    });
  }

  const perform: Perform = async (attempt) => {
    const { tenant, taskId, request, signal, log, note } = attempt;
    const folder = join(splits, taskId);
    let held: HeldNode | undefined;
    try {
      if (request.runOn === 'cluster') {
        held = await findNode(parts, tenant, taskId, request.memoryBytes);
        note({ place: held.place });
        log(`runs on node ${held.place.nodeId} of cluster ${held.place.clusterId}`);
      }
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const plan = await split(attempt, folder);
      await keepArtifacts(parts.artifacts, join(folder, 'plan'), plan, {
        signal,
        onBytes: (done, total) =>
          note({
            progress: {
              ...{ stage: 'keep', fraction: total > 0 ? done / total : 1 },
              message: `kept ${done} of ${total} bytes`,
            },
          }),
      });
      if (!request.create) return { plan };
      return { plan, created: await parts.createPlan(tenant, plan) };
    } finally {
      held?.release();
    }
  };

  return {
    perform,
    forget,
    async keepOnly(taskIds) {
      const found = await readdir(splits).catch(() => []);
      for (const taskId of found) if (!taskIds.has(taskId)) await forget(taskId);
    },
  };
}

function optionsOf(request: SplitRequest) {
  const { shards, maxSessions, contextTokens, copy, cutTensors, dtype, blockSize } = request;
  return {
    ...{ copy, cutTensors },
    ...(dtype === undefined ? {} : { dtype }),
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(shards === undefined ? {} : { shards }),
    ...(maxSessions === undefined ? {} : { maxSessions }),
    ...(contextTokens === undefined ? {} : { contextTokens }),
  };
}

/** An author's bundle under a name that Node takes for a module. */
async function placeSplitter(
  { artifacts }: PerformParts,
  { splitter }: SplitRequest,
  folder: string,
): Promise<string | undefined> {
  if (splitter === undefined) return undefined;
  const blob = await artifacts.path(splitter);
  const place = join(folder, 'splitter.mjs');
  // A copy over a link to the artifact would empty it.
  await rm(place, { force: true });
  await link(blob, place).catch(() => copyFile(blob, place));
  return place;
}

async function askPlanner(
  { policies, fitFor, inventoryRevision }: PerformParts,
  { tenant, request, log }: Attempt,
  outline: ModelOutline,
): Promise<HookOutput<'splitPlanner', 'plan'>> {
  const { output, evaluation } = await policies.evaluate({
    ...{ tenant, hook: 'splitPlanner', action: 'plan', useSite: `split/${outline.name}` },
    ...(request.planner
      ? { reference: { policyRuleURI: request.planner, parameters: {}, settings: {} } }
      : {}),
    input: {
      action: 'plan',
      model: plannedModel(outline, request.maxSessions ?? defaultMaxSessions),
      ...(request.shards === undefined ? {} : { shards: request.shards }),
      ...fitFor(tenant, request.fit),
    },
    inventoryRevision: inventoryRevision(),
  });
  for (const line of evaluation.logs) log(line);
  return output;
}
