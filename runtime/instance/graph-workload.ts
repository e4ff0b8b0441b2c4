import { resolve } from 'node:path';
import type { GraphSpec } from '../../sdk/spec/component.ts';
import { createGraphHost } from './graph-host.ts';
import type { Workload } from './workload.ts';

export interface GraphWorkloadOptions {
  readonly instanceId: string;
  readonly graph: GraphSpec;
  readonly threads: number;
  /** The thread that computes ended by itself. */
  readonly onFailure: (error: Error) => void;
}

/** Loads the part of a graph whose files lie in this process's folder. @throws {AiosError} MODEL_LOAD_FAILED, EXECUTOR_MISSING */
export async function loadGraphWorkload(options: GraphWorkloadOptions): Promise<Workload> {
  // Only an instance that hosts a graph pays for the room that runs models.
  const { createGraphExecutor, joinOutputs, takeInputs } = await import('../model/index.ts');
  const { instanceId, graph, threads, onFailure } = options;
  const graphPath = resolve(graph.graph);
  const executor = await createGraphExecutor({ graphPath, threads, onFailure });
  return createGraphHost({ instanceId, graph, executor, shards: { takeInputs, joinOutputs } });
}
