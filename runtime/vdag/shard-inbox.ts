import { z } from 'zod';
import { AiosError, DataPlaneError, type SerializedError } from '../../sdk/errors.ts';
import type { Frame, TokenPayload } from '../dataplane/index.ts';

/** What the last shard chose, and the nanoseconds each shard computed and waited: pairs, in order. */
export interface SampledToken {
  readonly token: number;
  readonly choice?: TokenPayload;
  readonly timings: readonly number[];
  /** Of `performance.now()`: before anybody asked for it. */
  readonly cameAtMs: number;
}

/** What the shards said, in order, for one reader. */
export interface ShardInbox {
  /** Never throws: what cannot be read is the session's failure. */
  accept(frame: Frame): void;
  fail(error: AiosError): void;
  /** @throws {AiosError} what failed first, if anything did */
  throwIfFailed(): void;
  /** @throws {AiosError} what failed first */
  opened(): Promise<true>;
  /** @throws {AiosError} what failed first */
  token(): Promise<SampledToken>;
}

export function createShardInbox(): ShardInbox {
  const tokens: SampledToken[] = [];
  let isOpen = false;
  let failure: AiosError | undefined;
  let wake: (() => void) | undefined;

  const changed = () => {
    wake?.();
    wake = undefined;
  };
  const until = async <T>(read: () => T | undefined): Promise<T> => {
    for (;;) {
      if (failure) throw failure;
      const value = read();
      if (value !== undefined) return value;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };

  return {
    accept(frame) {
      try {
        if (frame.type === 'opened') isOpen = true;
        else if (frame.type === 'token') tokens.push(readToken(frame));
        else if (frame.type === 'fail') failure ??= readFailure(frame);
      } catch (error) {
        failure ??= AiosError.from(error);
      }
      changed();
    },
    fail(error) {
      failure ??= error;
      changed();
    },
    throwIfFailed() {
      if (failure) throw failure;
    },
    opened: () => until(() => isOpen || undefined),
    token: () => until(() => tokens.shift()),
  };
}

/** JSON has no -Infinity, which is what a token that cannot come has: it is written as null. */
const logProbability = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NEGATIVE_INFINITY);
const tokenPayload = z.object({
  logprob: logProbability,
  top: z.array(z.tuple([z.int().nonnegative(), logProbability])),
});

function readToken({ token, timings, payload, session }: Frame): SampledToken {
  const cameAtMs = performance.now();
  if (payload.byteLength === 0) return { token, timings, cameAtMs };
  try {
    const choice = tokenPayload.parse(JSON.parse(new TextDecoder().decode(payload)));
    return { token, timings, cameAtMs, choice };
  } catch (cause) {
    throw new DataPlaneError(
      'FRAME_MALFORMED',
      `session '${session}': the last shard sent a TOKEN whose payload is not {logprob, top: [[token, logprob], …]}. Run the same release on every instance.`,
      { cause },
    );
  }
}

export function readFailure({ payload }: Frame): AiosError {
  try {
    return AiosError.deserialize(JSON.parse(new TextDecoder().decode(payload)) as SerializedError);
  } catch (cause) {
    return new DataPlaneError('SHARD_UNAVAILABLE', 'a shard failed and did not say why.', {
      cause,
    });
  }
}
