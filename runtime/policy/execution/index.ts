/**
 * Where an uploaded policy runs, by the type of execution that its document names. One interface, `PolicyRunner`, for all
 * of them.
 *
 * @module
 */
import { PolicyError } from '../../../sdk/errors.ts';
import type { PolicySpec } from '../../../sdk/spec/policy.ts';
import type { PolicyRunner } from '../runner.ts';
import { assertBundle, createSandboxPool } from '../sandbox-pool.ts';
import { createExecutors, type Executors, type PolicyExecutor } from './executors.ts';
import { type CallFunction, createGraphRunner } from './graph.ts';
import { createJobRunner } from './job.ts';
import { createRemoteRunner } from './remote.ts';
import { createSlots } from './slots.ts';
import { withSubstitutes } from './substitutes.ts';

export type { PolicyExecutor } from './executors.ts';
export type { CallFunction, FunctionCall } from './graph.ts';

export interface RunnersOptions {
  readonly loadArtifact: (hash: string) => Promise<string>;
  /** @default none */
  readonly executors?: readonly PolicyExecutor[] | undefined;
  /** How the nodes of a graph are called. */
  readonly call: CallFunction;
}

export interface Runners extends Pick<Executors, 'check'> {
  /**
   * @param asJob - in a fresh sandbox, whatever the document says; what has no code of its own runs as it always does
   * @throws {PolicyError} POLICY_UNREACHABLE - its executor is not known; POLICY_LIMIT_EXCEEDED - its bundle is too large
   */
  get(tenant: string, spec: PolicySpec, asJob?: boolean): Promise<PolicyRunner>;
  close(): Promise<void>;
}

/**
 * Each takes a thread: more would only wait for the processor. Jobs that somebody submitted or called may run for an hour,
 * so decisions have slots of their own.
 */
const jobSlots = { what: 'this control plane', atOnce: 4, waiting: 200 } as const;

export function createRunners({ loadArtifact, executors, call }: RunnersOptions): Runners {
  const pool = createSandboxPool(loadArtifact);
  const known = createExecutors(executors ?? []);
  const submitted = createSlots(jobSlots);
  const called = createSlots(jobSlots);
  const deciding = createSlots(jobSlots);

  return {
    check: known.check,
    async get(tenant, spec, asJob = false) {
      const { uri, hook, execution, artifact } = spec;
      if (execution.type === 'remote') {
        const runner = createRemoteRunner(uri, execution, known.get(execution.executor));
        return withSubstitutes(runner, execution.actions);
      }
      if (execution.type === 'graph') {
        return withSubstitutes(createGraphRunner(uri, execution, call), execution.actions);
      }
      if (!artifact) throw new PolicyError('INTERNAL', `policy '${uri}' has no code.`);
      if (execution.type === 'job' || asJob) {
        const load = async () => {
          const source = await loadArtifact(artifact.hash);
          assertBundle(uri, source);
          return { uri, hook, source, entry: artifact.entry };
        };
        return createJobRunner(
          uri,
          load,
          asJob ? submitted : hook === 'function' ? called : deciding,
        );
      }
      return pool.get({ tenant, uri, hook, ...artifact, kept: execution.type === 'function' });
    },
    close: () => pool.close(),
  };
}
