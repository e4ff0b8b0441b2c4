import { resolve } from 'node:path';
import type { AiosError } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { type ConnectOptions, connectInstance } from '../dataplane/index.ts';
import { createShardHost } from './shard-host.ts';
import type { Workload } from './workload.ts';

export interface StageWorkloadOptions {
  readonly instanceId: string;
  readonly stage: StageSpec;
  readonly threads: number;
  /** The thread that computes ended by itself. */
  readonly onFailure: (error: AiosError | Error) => void;
  readonly log: (line: string) => void;
}

/** Loads the stage whose files lie in this process's folder. @throws {AiosError} MODEL_LOAD_FAILED, EXECUTOR_MISSING */
export async function loadStageWorkload(options: StageWorkloadOptions): Promise<Workload> {
  // Only an instance that hosts a stage pays for the room that runs models.
  const { createStageExecutor } = await import('../model/index.ts');
  const { instanceId, stage, threads, onFailure, log } = options;
  const graphPath = resolve(stage.graph);
  const executor = await createStageExecutor({ graphPath, stage, threads, onFailure });
  const connect = (to: ConnectOptions) =>
    connectInstance({
      ...to,
      onResume: ({ cutMs, messages }) =>
        log(
          `the link to ${to.address} was cut for ${Math.round(cutMs)} ms and goes on; sent again: ${messages}`,
        ),
    });
  return createShardHost({ instanceId, stage, executor, connect });
}
