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
import { openShardSession } from './shard-session.ts';

export interface GenerationDriverOptions {
  /** A vDAG by URI, or by bare name while it is unique. */
  readonly resolveVdag: (tenant: string, name: string) => Promise<VdagSpec>;
  readonly directory: InstanceDirectory;
  readonly artifacts: Pick<ArtifactStore, 'path'>;
  /** For tests. @default connectInstance */
  readonly connect?: (options: ConnectOptions) => InstanceConnection;
  /** How long an answer waits for a ready instance of each shard. @default 15000 */
  readonly readyWaitMs?: number;
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

/** Failures after which another instance may still answer, as long as nothing was shown. */
const retriedCodes: ReadonlySet<string> = new Set(['SHARD_UNAVAILABLE', 'BUSY', 'SESSION_UNKNOWN']);
/** Before each further attempt: a dead instance is noticed, or a slot becomes free. */
const retryDelaysMs = [50, 500] as const;

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

      for (let attempt = 0; ; attempt++) {
        let shown = false;
        try {
          for await (const event of attemptAnswer(job)) {
            if (!shown) yield { type: 'prompt', tokens: promptTokens };
            shown = true;
            yield event;
          }
          return;
        } catch (error) {
          const { code, message } = AiosError.from(error);
          if (code !== 'CANCELLED')
            options.log?.(`model '${vdag.uri}' failed: ${code}: ${message}`);
          const delayMs = retryDelaysMs[attempt];
          if (shown || delayMs === undefined || !retriedCodes.has(code)) throw error;
          await scope.race(new Promise((resolve) => setTimeout(resolve, delayMs)));
        }
      }
    } catch (error) {
      ok = AiosError.from(error).code === 'CANCELLED';
      throw error;
    } finally {
      end?.({ ok });
      scope.end();
    }
  }

  /** One session in one instance of each shard. */
  async function* attemptAnswer(job: Job): AsyncGenerator<GenerationEvent, void, void> {
    const { request, scope, promptTokens } = job;
    const sessionId = randomUUID();
    const picking = pickShards(options.directory, job.blocks, {
      tenant: request.tenant,
      sessionId,
      waitMs: options.readyWaitMs ?? 15_000,
      signal: scope.signal,
    });
    const release = (shards: readonly RoutedInstance[], ok = true) => {
      for (const shard of shards) shard.release({ ok });
    };
    const shards = await scope.race(picking).catch((error) => {
      // What is picked after the caller has gone is given back too.
      picking.then(
        (found) => release(found),
        () => {},
      );
      throw error;
    });
    let ok = true;
    try {
      const session = await openShardSession({
        sessionId,
        tenant: request.tenant,
        driverId,
        shards,
        pool,
        directory: options.directory,
        scope,
        deadlineMs: request.deadlineMs,
        promptTokens,
        sampling: { ...request.sampling, seed: job.seed },
      });
      try {
        const instanceIds = shards.map(({ instanceId }) => instanceId);
        yield* answer({ ...job, session, instanceIds });
      } finally {
        session.close();
      }
    } catch (error) {
      ok = AiosError.from(error).code === 'CANCELLED';
      throw error;
    } finally {
      release(shards, ok);
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
