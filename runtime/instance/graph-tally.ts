import type { ShardCounters } from '../../sdk/client/api.ts';
import type { AiosError } from '../../sdk/errors.ts';
import { createSessionSpans, type SessionSpans } from './session-spans.ts';

/** Counts what a part of a graph does. A packet is to it what a session with one step is to a shard of a language model. */
export interface GraphTally {
  /**
   * @param traceparent - the span it belongs to, where it is traced
   * @returns where the packet's own counts go
   */
  packetCame(bytes: number, traceparent: string | undefined): PacketTally;
  /** It was taken in: `held` packets are here now, `waiting` of them wait for their turn. */
  heldNow(held: number, waiting: number): void;
  takeSpans: SessionSpans['take'];
  read(held: number, waiting: number, places: number): ShardCounters;
}

export interface PacketTally {
  computed(sessionId: string, computeNs: number): void;
  /** @param bytes - of the answer; none: nobody got one */
  ended(bytes: number | undefined, error?: AiosError): void;
}

export function createGraphTally(): GraphTally {
  const spans = createSessionSpans();
  const count = {
    ...{ maxOpenSessions: 0, sessionsOpened: 0, sessionsClosed: 0, steps: 0, sessionSwitches: 0 },
    ...{ framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, maxQueuedFrames: 0 },
  };
  let computedNs = 0;
  let waitedNs = 0;
  let lastSession: string | undefined;

  return {
    packetCame(bytes, traceparent) {
      count.framesIn += 1;
      count.bytesIn += bytes;
      count.sessionsOpened += 1;
      const key = String(count.sessionsOpened);
      const cameAtMs = performance.now();
      let ownNs = 0;
      spans.opened(key, traceparent);
      return {
        computed(sessionId, computeNs) {
          count.steps += 1;
          if (lastSession !== undefined && lastSession !== sessionId) count.sessionSwitches += 1;
          lastSession = sessionId;
          ownNs = computeNs;
          computedNs += computeNs;
          spans.computed(key, 0, computeNs);
        },
        ended(sentBytes, error) {
          const waitNs = Math.max(0, (performance.now() - cameAtMs) * 1e6 - ownNs);
          waitedNs += waitNs;
          spans.waited(key, waitNs);
          spans.closed(key, error);
          count.sessionsClosed += 1;
          if (sentBytes === undefined) return;
          count.framesOut += 1;
          count.bytesOut += sentBytes;
        },
      };
    },
    heldNow(held, waiting) {
      count.maxOpenSessions = Math.max(count.maxOpenSessions, held);
      count.maxQueuedFrames = Math.max(count.maxQueuedFrames, waiting);
    },
    takeSpans: spans.take,
    read: (held, waiting, places) => ({
      ...count,
      ...{ openSessions: held, maxSessions: places, queuedSteps: waiting },
      ...{ computeMs: computedNs / 1e6, waitMs: waitedNs / 1e6, countedAtMs: Date.now() },
      // It keeps no keys and values, samples no tokens and computes each packet alone. No `weightBytes` either: a graph goes
      // through a weight as often as its inputs ask, so that its pace says nothing of how fast decoding would be there.
      ...{ tokens: 0, payloadCopies: 0, kvTokens: 0, kvCapacityTokens: 0, sharedTokens: 0 },
      ...{ kvMoves: 0, decodeSteps: 0, decodeBatches: 0, decodeMs: 0, maxBatchSteps: 0 },
      ...{ lastBatchSteps: 0, prefillChunks: 0, prefillTokens: 0, outputCopies: 0 },
    }),
  };
}
