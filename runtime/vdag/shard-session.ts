import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import type { SamplingParameters } from '../../sdk/sampling.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import { emptyFrame, type Frame, frameLimits, type OpenPayload } from '../dataplane/index.ts';
import type { InstancePool, SessionLink } from './instance-pool.ts';
import type { RequestScope } from './request-scope.ts';
import { routeOf } from './shard-chain.ts';
import { createShardInbox, readFailure, type SampledToken } from './shard-inbox.ts';

export type { SampledToken };

/** One answer's place in every shard of a model. */
export interface ShardSession {
  /** Sends the prompt in chunks. @param sample - whether the last one asks for a token */
  prefill(tokens: readonly number[], chunkTokens: number, sample: boolean): Promise<void>;
  /** Sends tokens of an answer again, a step each; the last one asks for the next. */
  replay(tokens: readonly number[], position: number): Promise<void>;
  /** Sends the token at `position` and asks for the next. */
  step(token: number, position: number): void;
  /** The next token asked for. @throws {AiosError} what failed: a shard, the deadline, the caller */
  next(): Promise<SampledToken>;
  /** Frees the session's memory in every shard. Safe to call twice. */
  close(): void;
}

export interface ShardSessionOptions {
  readonly sessionId: string;
  readonly tenant: string;
  readonly driverId: string;
  readonly shards: readonly RoutedInstance[];
  /** Of activations on each link between shards. @default fp32 on all */
  readonly wireDtypes?: readonly WireDtype[];
  readonly pool: InstancePool;
  readonly directory: InstanceDirectory;
  readonly scope: RequestScope;
  readonly deadlineMs: number;
  /** Which span the shards' own belong to. @default none are made */
  readonly traceparent?: string | undefined;
  /** Prompt, and what was answered before: penalties look at both. */
  readonly knownTokens: readonly number[];
  /** How many of them are the prompt. */
  readonly promptCount: number;
  readonly sampling: SamplingParameters & { readonly seed: number };
  /** Rejects when the opening has stalled. @default waits */
  readonly unlessStalled?: <T>(opening: Promise<T>) => Promise<T>;
}

/**
 * Opens a session down the chain and waits until the last shard holds a slot.
 *
 * @throws {AiosError} BUSY, SHARD_UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED
 */
export async function openShardSession(options: ShardSessionOptions): Promise<ShardSession> {
  const { sessionId, shards, pool, directory, scope } = options;
  const first = shards[0];
  const last = shards[shards.length - 1];
  if (!first || !last) throw new DataPlaneError('SHARD_UNAVAILABLE', 'the model has no shards.');
  const ends = first === last ? [first] : [first, last];
  const pooled = ends.map((instance) => pool.acquire(instance));
  const inbox = createShardInbox();
  const stopListening: (() => void)[] = [];
  let links: SessionLink[] = [];
  let sequence = 0;
  let closed = false;

  const send = (frame: Partial<Frame> & Pick<Frame, 'type'>) => {
    links[0]?.send({ ...emptyFrame(frame.type), ...frame, session: sessionId, sequence });
    sequence += 1;
  };

  // A shard that lost the one beside it says which: it is checked before anybody is sent there again.
  const blame = (error: AiosError) => {
    const lost = shards.find(({ instanceId }) => instanceId === error.details.instanceId);
    if (lost && error.code === 'SHARD_UNAVAILABLE') directory.report(lost.instanceId, error);
  };

  const close = () => {
    if (closed) return;
    closed = true;
    for (const stop of stopListening) stop();
    // The last shard is told directly too: a dead shard between must not keep its memory taken.
    for (const [index, link] of links.entries()) {
      const frame = { ...emptyFrame('close'), session: sessionId };
      try {
        link.send({ ...frame, sequence: index === 0 ? sequence : 0 });
      } catch {
        // A link that is down has taken its sessions with it.
      }
    }
    for (const one of pooled) one.release();
  };

  try {
    links = await scope.race(
      Promise.all(
        pooled.map(async (one, index) => {
          try {
            return await one.link();
          } catch (error) {
            const { instanceId, blockId } = ends[index] as RoutedInstance;
            directory.report(instanceId, error);
            throw unavailable(instanceId, blockId, error);
          }
        }),
      ),
    );
    for (const [index, link] of links.entries()) {
      const { instanceId, blockId } = ends[index] as RoutedInstance;
      stopListening.push(
        link.listen(sessionId, {
          onFrame: (frame) => {
            if (frame.type === 'fail') blame(readFailure(frame));
            inbox.accept(frame);
          },
          onDown: (error) => {
            if (!scope.signal.aborted) directory.report(instanceId, error);
            inbox.fail(unavailable(instanceId, blockId, error));
          },
        }),
      );
    }
    const open: OpenPayload = {
      tenant: options.tenant,
      driverId: options.driverId,
      route: routeOf(options.driverId, shards, options.wireDtypes),
      deadlineMs: options.deadlineMs,
      ...(options.traceparent === undefined ? {} : { traceparent: options.traceparent }),
      promptTokens: options.knownTokens,
      promptCount: options.promptCount,
      sampling: options.sampling,
    };
    send({ type: 'open', payload: new TextEncoder().encode(JSON.stringify(open)) });
    const opened = scope.race(inbox.opened());
    await (options.unlessStalled?.(opened) ?? opened);
  } catch (error) {
    close();
    throw error;
  }

  const sendWithRoom = async (frame: ReturnType<typeof stepFrame>) => {
    for (;;) {
      if (closed)
        throw new AiosError('CLOSED', 'this session was closed while it sent its prompt.');
      // Who is dead makes no room.
      inbox.throwIfFailed();
      if (links[0]?.hasRoom) return send(frame);
      await scope.race(new Promise((resolve) => setTimeout(resolve, queuePollMs)));
    }
  };

  return {
    async prefill(tokens, chunkTokens, sample) {
      for (let position = 0; position < tokens.length; position += chunkTokens) {
        const chunk = tokens.slice(position, position + chunkTokens);
        const isLast = position + chunk.length === tokens.length;
        await sendWithRoom(stepFrame(chunk, position, sample && isLast));
      }
    },
    async replay(tokens, position) {
      for (const [index, token] of tokens.entries()) {
        await sendWithRoom(stepFrame([token], position + index, index === tokens.length - 1));
      }
    },
    step: (token, position) => send(stepFrame([token], position, true)),
    next: () => scope.race(inbox.token()),
    close,
  };
}

const queuePollMs = 2;
/** For a vDAG that does not say how wide its activations are: safe up to 16,384. */
const unknownWidthChunkTokens = 4;

/** Tokens of a prefill chunk whose activations stay under the data plane's aim. */
export function prefillChunkTokens(hiddenSize: number | undefined): number {
  if (hiddenSize === undefined) return unknownWidthChunkTokens;
  const fitting = Math.floor(frameLimits.prefillChunkBytes / (hiddenSize * 4));
  return Math.min(Math.max(fitting, 1), 512);
}

function stepFrame(tokens: readonly number[], position: number, sample: boolean) {
  return {
    type: 'step' as const,
    position,
    rows: tokens.length,
    dtype: 'int32' as const,
    shape: [tokens.length],
    sample,
    payload: new Uint8Array(Int32Array.from(tokens).buffer),
  };
}

function unavailable(instanceId: string, blockId: string, cause: unknown): DataPlaneError {
  return new DataPlaneError(
    'SHARD_UNAVAILABLE',
    `block '${blockId}': instance ${instanceId} stopped answering. Ask again: the block is being healed.`,
    { cause, details: { instanceId, blockId } },
  );
}
