import { type AiosError, DataPlaneError } from '../../sdk/errors.ts';
import type { Frame, OpenPayload } from '../dataplane/index.ts';
import type { SharedPrefix, StageExecutor } from '../model/stage.ts';
import { createPrefixBook } from './prefix-book.ts';
import type { ShardSession } from './shard-session.ts';

/** Prompts that begin alike, computed once: the first shard finds them, the others do as its OPEN says. */
export interface ShardSharing {
  /** What a session that is to be opened begins with. */
  find(open: OpenPayload): SharedPrefix | undefined;
  opened(session: string, open: OpenPayload): void;
  /** @returns whether a step is held already. @throws {DataPlaneError} SESSION_UNKNOWN - what was shared does not fit: ask again */
  holds(session: ShardSession, frame: Frame): boolean;
  /** A session ended with this error. */
  failed(session: ShardSession, error: AiosError): void;
}

export function createShardSharing(
  executor: StageExecutor,
  isFirst: boolean,
  isOpen: (session: string) => boolean,
): ShardSharing {
  const prefixes = createPrefixBook((session, tenant) => {
    const tokens = executor.heldTokens(session, tenant);
    return tokens === undefined ? undefined : { tokens, open: isOpen(session) };
  });
  const promptOf = ({ tenant, route, promptTokens, promptCount }: OpenPayload) => ({
    tenant,
    // What went there in another dtype is not what this session would have computed.
    way: route.map((hop) => `${hop.instanceId} ${hop.address} ${hop.activations ?? 'fp32'}`).join(),
    tokens: promptTokens.slice(0, promptCount),
  });

  return {
    find: (open) => (isFirst ? prefixes.find(promptOf(open)) : open.shared),
    opened(session, open) {
      if (isFirst) prefixes.open(session, promptOf(open), open.shared);
    },
    holds({ id, shared }, { position, rows, sample, payload }) {
      if (!isFirst) return false;
      const tokens = new Int32Array(payload.buffer, payload.byteOffset, rows);
      const fits = prefixes.step(id, position, tokens);
      if (!shared || position >= shared.tokens) return false;
      if (fits && !sample) return true;
      throw new DataPlaneError(
        'SESSION_UNKNOWN',
        `session '${id}': the step at position ${position} is not what OPEN promised of the prompt. Open a new session.`,
      );
    },
    failed({ shared }, { code }) {
      // A shard that has lost what is shared says so: the next session like this one is computed whole.
      if (shared && code === 'SESSION_UNKNOWN') prefixes.forget(shared.session);
    },
  };
}
