import { randomUUID } from 'node:crypto';
import { AiosError } from '../../sdk/errors.ts';
import type { GenerationSpec } from '../../sdk/spec/vdag.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import type { GenerateRequest } from './generation.ts';
import type { InstancePool } from './instance-pool.ts';
import type { Replicas } from './replicas.ts';
import type { RequestScope } from './request-scope.ts';
import { pickShards } from './shard-chain.ts';
import { openShardSession } from './shard-session.ts';
import { type StallLimits, unlessStalled } from './stall-limits.ts';
import type { OpenAttempt, OpenedSession } from './surviving-session.ts';
import { chooseWireDtypes, type MeasuredHops } from './wire-dtypes.ts';

/** What every attempt at an answer shares. */
export interface SessionJob {
  readonly request: GenerateRequest;
  readonly scope: RequestScope;
  readonly generation: GenerationSpec;
  /** First shard first. */
  readonly blocks: readonly string[];
  readonly promptTokens: readonly number[];
  readonly seed: number;
  readonly limits: StallLimits;
  /** Which span the shards' own belong to; undefined: none are made. */
  readonly traceparent: string | undefined;
  /** Of the links between shards: chosen at the first attempt, kept for the others. */
  wireDtypes?: readonly WireDtype[];
}

export interface SessionOpenerOptions {
  readonly driverId: string;
  readonly pool: InstancePool;
  readonly directory: InstanceDirectory;
  readonly replicas: Replicas;
  readonly readyWaitMs: number;
  readonly measuredHops: MeasuredHops | undefined;
}

const release = (shards: readonly RoutedInstance[], ok: boolean): void => {
  for (const shard of shards) shard.release({ ok });
};

/** Opens one session in one instance of each shard, for as long as these live. */
export function createSessionOpener(options: SessionOpenerOptions) {
  const { driverId, pool, directory, replicas } = options;

  async function pick(job: SessionJob, sessionId: string, { avoid }: OpenAttempt) {
    const { request, scope } = job;
    const picking = pickShards(directory, job.blocks, {
      tenant: request.tenant,
      sessionId,
      waitMs: options.readyWaitMs,
      signal: scope.signal,
      avoid: (blockId) => replicas.avoid(blockId, avoid),
    });
    return scope.race(picking).catch((error) => {
      // What is picked after the caller has gone is given back too.
      picking.then(
        (found) => release(found, true),
        () => {},
      );
      throw error;
    });
  }

  return async (
    job: SessionJob,
    knownTokens: readonly number[],
    attempt: OpenAttempt,
  ): Promise<OpenedSession> => {
    const { request, scope, limits } = job;
    const { tenant, client } = request;
    const sessionId = randomUUID();
    const shards = await pick(job, sessionId, attempt);
    job.wireDtypes ??= chooseWireDtypes(job.generation, shards, (from, to) =>
      options.measuredHops?.(tenant, from, to),
    );
    const startedAtMs = performance.now();
    try {
      const session = await openShardSession({
        ...{ sessionId, driverId, shards, pool, directory, scope, knownTokens },
        // What a client's prompts have in common is found out by nobody else.
        tenant: client === undefined ? tenant : `${tenant}/${client}`,
        wireDtypes: job.wireDtypes,
        promptCount: job.promptTokens.length,
        deadlineMs: request.deadlineMs,
        traceparent: job.traceparent,
        sampling: { ...request.sampling, seed: job.seed },
        unlessStalled: (opening) =>
          unlessStalled(opening, limits.openMs * attempt.patience, (waitedMs) =>
            replicas.stalled(tenant, shards, 'a place in every shard', waitedMs),
          ),
      });
      limits.opened(performance.now() - startedAtMs);
      let isOpen = true;
      return {
        session,
        shards,
        close(ok) {
          session.close();
          if (isOpen) release(shards, ok);
          isOpen = false;
        },
      };
    } catch (error) {
      release(shards, AiosError.from(error).code === 'CANCELLED');
      throw error;
    }
  };
}
