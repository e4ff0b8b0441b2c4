import { randomInt, randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { AiosError, VdagError } from '../../sdk/errors.ts';
import type { GenerationSpec, VdagSpec } from '../../sdk/spec/vdag.ts';
import type { ArtifactStore, InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import {
  type ConnectOptions,
  connectInstance,
  type InstanceConnection,
} from '../dataplane/index.ts';
import type { End, RequestRecorder } from '../metrics/index.ts';
import { answer } from './answer.ts';
import type { GenerateRequest, GenerationDriver, GenerationEvent } from './generation.ts';
import { createInstancePool } from './instance-pool.ts';
import { createModelTexts, type ModelText } from './model-text.ts';
import { contextExceeded, type PromptLimit } from './prompt-limit.ts';
import { openScope, type RequestScope } from './request-scope.ts';
import { pickShards, shardBlocks } from './shard-chain.ts';
import { openShardSession, prefillChunkTokens } from './shard-session.ts';
import { createSurvivingSession, type OpenedSession } from './surviving-session.ts';

export interface GenerationDriverOptions {
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
  /** Told of every request to a model. */
  readonly requests?: Pick<RequestRecorder, 'beginVdag'>;
  readonly log?: (line: string) => void;
}

/** What every attempt at an answer shares. */
interface Job {
  readonly request: GenerateRequest;
  readonly scope: RequestScope;
  readonly generation: GenerationSpec;
  /** First shard first. */
  readonly blocks: readonly string[];
  readonly text: ModelText;
  readonly promptTokens: readonly number[];
  readonly seed: number;
  /** Of `performance.now()`. */
  readonly startedAtMs: number;
}

/** Tokenizes, opens a session in every shard, turns sampled tokens into text. Holds the tokenizer and no weights. */
export function createGenerationDriver(options: GenerationDriverOptions): GenerationDriver {
  const driverId = `driver-${randomUUID()}`;
  const pool = createInstancePool(driverId, options.connect ?? connectInstance);
  const texts = createModelTexts(options.artifacts);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);

  async function* generate(request: GenerateRequest): AsyncGenerator<GenerationEvent, void, void> {
    const startedAtMs = performance.now();
    const scope = openScope(
      `model '${request.vdagUri}'`,
      request.deadlineMs,
      request.signal,
      closing.signal,
    );
    let end: End | undefined;
    let ok = true;
    try {
      scope.throwIfOver();
      const vdag = await scope.race(options.resolveVdag(request.tenant, request.vdagUri));
      const generation = generationOf(vdag);
      end = options.requests?.beginVdag(request.tenant, vdag.uri);
      const blocks = shardBlocks(vdag, generation.stages);
      const text = await scope.race(texts.load(generation));
      const limit = { modelUri: vdag.uri, contextTokens: generation.contextTokens };
      const promptTokens = await scope.race(text.encode(request.prompt, limit, scope.signal));
      checkPrompt(limit, generation.vocabularySize, promptTokens);
      const seed = request.sampling.seed ?? randomInt(2 ** 32);
      const job: Job = {
        request,
        scope,
        generation,
        blocks,
        text,
        promptTokens,
        seed,
        startedAtMs,
      };

      let shown = false;
      for await (const event of answerJob(job, vdag.uri)) {
        if (!shown) yield { type: 'prompt', tokens: promptTokens };
        shown = true;
        yield event;
      }
    } catch (error) {
      ok = AiosError.from(error).code === 'CANCELLED';
      throw error;
    } finally {
      end?.({ ok });
      scope.end();
    }
  }

  /** One session in one instance of each shard, for as long as these live. */
  async function open(job: Job, knownTokens: readonly number[]): Promise<OpenedSession> {
    const { request, scope } = job;
    const sessionId = randomUUID();
    const picking = pickShards(options.directory, job.blocks, {
      tenant: request.tenant,
      sessionId,
      waitMs: options.readyWaitMs ?? 15_000,
      signal: scope.signal,
    });
    const release = (shards: readonly RoutedInstance[], ok: boolean) => {
      for (const shard of shards) shard.release({ ok });
    };
    const shards = await scope.race(picking).catch((error) => {
      // What is picked after the caller has gone is given back too.
      picking.then(
        (found) => release(found, true),
        () => {},
      );
      throw error;
    });
    try {
      const session = await openShardSession({
        ...{ sessionId, driverId, shards, pool, scope, knownTokens },
        tenant: request.tenant,
        promptCount: job.promptTokens.length,
        directory: options.directory,
        deadlineMs: request.deadlineMs,
        sampling: { ...request.sampling, seed: job.seed },
      });
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
      open: (knownTokens) => open(job, knownTokens),
      onRecovery: ({ answeredTokens, pausedMs, reason, attempts }) =>
        log(
          `paused an answer ${Math.round(pausedMs)} ms after ${answeredTokens} tokens (attempts: ${attempts}): ${reason}`,
        ),
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

function checkPrompt(limit: PromptLimit, vocabularySize: number, promptTokens: readonly number[]) {
  const { modelUri, contextTokens } = limit;
  if (promptTokens.length === 0) {
    throw new AiosError('REQUEST_INVALID', `model '${modelUri}': the prompt is empty.`);
  }
  if (promptTokens.length >= contextTokens) throw contextExceeded(limit, promptTokens.length);
  const wrong = promptTokens.findIndex(
    (token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize,
  );
  if (wrong >= 0) {
    throw new AiosError(
      'REQUEST_INVALID',
      `model '${modelUri}': prompt token ${wrong} is ${promptTokens[wrong]}; expected an integer from 0 to ${vocabularySize - 1}.`,
    );
  }
}
