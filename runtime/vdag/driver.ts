import { randomInt, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { AiosError, VdagError } from '../../sdk/errors.ts';
import type { GenerationSpec, VdagSpec } from '../../sdk/spec/vdag.ts';
import type { ArtifactStore, InstanceDirectory } from '../control-plane.ts';
import {
  type ConnectOptions,
  connectInstance,
  type InstanceConnection,
} from '../dataplane/index.ts';
import { answer } from './answer.ts';
import { boundAnswer, checkPrompt } from './answer-limits.ts';
import type { AnswerPace } from './answer-pace.ts';
import { type AnswerPlace, createAnswerPlace } from './answer-place.ts';
import { type AnswerWatch, type AnswerWatchers, watchAnswer } from './answer-watch.ts';
import type { GenerateRequest, GenerationDriver, GenerationEvent } from './generation.ts';
import { createInstancePool } from './instance-pool.ts';
import { anyClient, createModelAdmission } from './model-admission.ts';
import { createModelTexts, type ModelText } from './model-text.ts';
import { createSessionOpener, type SessionJob } from './open-session.ts';
import { createReplicaSpeeds } from './replica-speeds.ts';
import { createReplicas } from './replicas.ts';
import { openScope, type RequestScope } from './request-scope.ts';
import { shardBlocks } from './shard-chain.ts';
import { prefillChunkTokens } from './shard-session.ts';
import { createStallLimitsOf, type StallOptions } from './stall-limits.ts';
import { createSurvivingSession } from './surviving-session.ts';
import type { MeasuredHops } from './wire-dtypes.ts';

export interface GenerationDriverOptions extends AnswerWatchers {
  /** A vDAG by URI, or by bare name while it is unique. */
  readonly resolveVdag: (tenant: string, name: string) => Promise<VdagSpec>;
  readonly directory: InstanceDirectory;
  readonly artifacts: Pick<ArtifactStore, 'path'>;
  /** For tests. @default connectInstance */
  readonly connect?: (options: ConnectOptions) => InstanceConnection;
  /** How long an answer waits for a ready instance of each shard. @default 15000 */
  readonly readyWaitMs?: number;
  /** How long an answer may stand still while a lost shard is replaced. @default 60000 */
  readonly recoveryLimitMs?: number;
  /** When an answer that stands still goes on in other instances, where there are any. */
  readonly stall?: StallOptions;
  /** What `auto` goes by. @default nothing is measured, so fp32 */
  readonly measuredHops?: MeasuredHops;
  readonly log?: (line: string) => void;
}

interface Job extends SessionJob {
  readonly text: ModelText;
  /** Of `performance.now()`. */
  readonly startedAtMs: number;
  readonly place: AnswerPlace;
  readonly pace: AnswerPace;
  readonly watch: AnswerWatch;
}

/** Tokenizes, opens a session in every shard, turns sampled tokens into text. Holds the tokenizer and no weights. */
export function createGenerationDriver(options: GenerationDriverOptions): GenerationDriver {
  const driverId = `driver-${randomUUID()}`;
  const connect = options.connect ?? connectInstance;
  const pool = createInstancePool(driverId, (to) =>
    connect({
      ...to,
      onResume: ({ cutMs, messages }) =>
        options.log?.(
          `the link to ${to.address} was cut for ${Math.round(cutMs)} ms and goes on; sent again: ${messages}`,
        ),
    }),
  );
  const texts = createModelTexts(options.artifacts);
  const { directory } = options;
  const replicas = createReplicas(directory, createReplicaSpeeds());
  const stallLimits = createStallLimitsOf(options.stall);
  const open = createSessionOpener({
    ...{ driverId, pool, directory, replicas },
    readyWaitMs: options.readyWaitMs ?? 15_000,
    measuredHops: options.measuredHops,
  });
  const admission = createModelAdmission(directory.slots?.bind(directory));
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);

  async function* generate(request: GenerateRequest): AsyncGenerator<GenerationEvent, void, void> {
    const startedAtMs = performance.now();
    const { tenant, vdagUri, deadlineMs, signal } = request;
    const scope = openScope(`model '${vdagUri}'`, deadlineMs, signal, closing.signal);
    try {
      scope.throwIfOver();
      const vdag = await scope.race(options.resolveVdag(tenant, vdagUri));
      const generation = generationOf(vdag);
      const watch = watchAnswer(options, request, vdag.uri);
      let whole = false;
      try {
        for await (const event of bounded(request, vdag, generation, scope, watch, startedAtMs)) {
          whole ||= event.type === 'end';
          yield event;
        }
      } catch (error) {
        watch.failed(error);
        throw error;
      } finally {
        watch.ended(whole);
      }
    } finally {
      scope.end();
    }
  }

  /** Within the limits of the model's document. */
  async function* bounded(
    asked: GenerateRequest,
    vdag: VdagSpec,
    spec: GenerationSpec,
    outer: RequestScope,
    watch: AnswerWatch,
    startedAtMs: number,
  ): AsyncGenerator<GenerationEvent, void, void> {
    const { request, generation, limits, subject } = boundAnswer(asked, vdag.uri, spec);
    const { tenant, client = anyClient } = request;
    const scope = openScope(subject, request.deadlineMs, outer.signal);
    const blocks = shardBlocks(vdag, generation.stages);
    const room = admission.room({ tenant, modelUri: vdag.uri, blocks });
    const place = createAnswerPlace({
      ...{ room, client, limits, signal: scope.signal },
      onAdmitted: (waitedMs) => watch.admitted(waitedMs, admission.slots(tenant, blocks)),
    });
    try {
      const text = await scope.race(texts.load(generation));
      const limit = { modelUri: vdag.uri, contextTokens: generation.contextTokens };
      const promptTokens = await scope.race(text.encode(request.prompt, limit, scope.signal));
      checkPrompt(limit, generation.vocabularySize, promptTokens);
      const seed = request.sampling.seed ?? randomInt(2 ** 32);
      const job: Job = {
        ...{ request, scope, generation, blocks, text, promptTokens, seed, startedAtMs },
        ...{ place, pace: room.pace, watch, traceparent: watch.traceparent },
        limits: stallLimits(tenant, vdag.uri),
      };

      let shown = false;
      for await (const event of answerJob(job, vdag.uri)) {
        if (!shown) yield { type: 'prompt', tokens: promptTokens };
        shown = true;
        yield event;
      }
    } finally {
      place.leave();
      scope.end();
    }
  }

  async function* answerJob(
    job: Job,
    modelUri: string,
  ): AsyncGenerator<GenerationEvent, void, void> {
    const log = (line: string) => options.log?.(`model '${modelUri}' ${line}`);
    const session = createSurvivingSession({
      scope: job.scope,
      promptTokens: job.promptTokens,
      chunkTokens: prefillChunkTokens(job.generation.hiddenSize),
      recoveryLimitMs: options.recoveryLimitMs,
      limits: job.limits,
      replicas: {
        claimStandIns: (shards) => replicas.claimStandIns(job.request.tenant, shards),
        stepped: replicas.stepped,
        stalled: (...stall) => replicas.stalled(job.request.tenant, ...stall),
      },
      open: (...attempt) => job.place.opening(() => open(job, ...attempt)),
      onRecovery(recovery) {
        const { answeredTokens, pausedMs, reason, attempts } = recovery;
        job.watch.recovered(recovery);
        log(
          `paused an answer ${Math.round(pausedMs)} ms after ${answeredTokens} tokens (attempts: ${attempts}): ${reason}`,
        );
      },
    });
    let ok = true;
    try {
      yield* answer({ ...job, session });
    } catch (fault) {
      const { code, message } = AiosError.from(fault);
      ok = code === 'CANCELLED';
      if (!ok) log(`failed: ${code}: ${message}`);
      throw fault;
    } finally {
      session.close(ok);
    }
  }

  return {
    generate,
    async close() {
      closing.abort(new AiosError('CLOSED', 'the control plane is shutting down.'));
      admission.close();
      pool.close();
    },
  };
}

function generationOf(vdag: VdagSpec): GenerationSpec {
  if (!vdag.generation) {
    throw new VdagError(
      'REQUEST_INVALID',
      `vDAG '${vdag.uri}' is not a language model: it has no 'generation' section. Call it with: aios infer vdag ${vdag.uri}`,
    );
  }
  return vdag.generation;
}
