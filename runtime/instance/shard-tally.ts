import type { ShardCounters } from '../../sdk/client/api.ts';
import type { AiosError } from '../../sdk/errors.ts';
import type { FlowLink } from '../dataplane/index.ts';
import type { StageCounters } from '../model/stage.ts';
import type { StageShape } from './open-payload.ts';
import { createSessionSpans, type SessionSpans } from './session-spans.ts';

/** Counts what a shard does; `ShardCounters` is its reading. */
export interface ShardTally {
  linkOpened(link: FlowLink): void;
  linkDown(link: FlowLink): void;
  /** @param traceparent - the span it belongs to, where it is traced */
  sessionOpened(openSessions: number, session: string, traceparent: string | undefined): void;
  sessionClosed(session: string, error?: AiosError): void;
  stepQueued(): void;
  /** It was computed, or dropped with its session. */
  stepLeftQueue(): void;
  stepDone(session: string, rows: number, computeNs: number): void;
  /** From its arrival to the result's departure, without computing. */
  stepWaited(session: string, waitNs: number): void;
  tokenSent(): void;
  takeSpans: SessionSpans['take'];
  read(
    openSessions: number,
    shape: Pick<StageShape, 'maxSessions' | 'contextTokens' | 'weightBytes'>,
    stage: StageCounters,
  ): ShardCounters;
}

const ofLink = ['framesIn', 'framesOut', 'bytesIn', 'bytesOut', 'payloadCopies'] as const;

export function createShardTally(): ShardTally {
  const links = new Set<FlowLink>();
  const spans = createSessionSpans();
  const past = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0, payloadCopies: 0 };
  const count = {
    maxOpenSessions: 0,
    sessionsOpened: 0,
    sessionsClosed: 0,
    steps: 0,
    tokens: 0,
    sessionSwitches: 0,
  };
  let queued = 0;
  let maxQueued = 0;
  let waitNs = 0;
  let lastSession: string | undefined;

  return {
    linkOpened: (link) => links.add(link),
    linkDown(link) {
      if (!links.delete(link)) return;
      for (const name of ofLink) past[name] += link[name];
      maxQueued = Math.max(maxQueued, link.longestQueueFrames);
    },
    sessionOpened(openSessions, session, traceparent) {
      spans.opened(session, traceparent);
      count.sessionsOpened += 1;
      count.maxOpenSessions = Math.max(count.maxOpenSessions, openSessions);
    },
    sessionClosed(session, error) {
      spans.closed(session, error);
      count.sessionsClosed += 1;
    },
    stepQueued() {
      queued += 1;
      maxQueued = Math.max(maxQueued, queued);
    },
    stepLeftQueue() {
      queued -= 1;
    },
    stepDone(session, rows, computeNs) {
      spans.computed(session, rows, computeNs);
      count.steps += 1;
      if (lastSession !== undefined && lastSession !== session) count.sessionSwitches += 1;
      lastSession = session;
    },
    stepWaited(session, ns) {
      spans.waited(session, ns);
      waitNs += ns;
    },
    takeSpans: spans.take,
    tokenSent() {
      count.tokens += 1;
    },
    read(openSessions, shape, { computeNs, decodeNs, ...stage }) {
      const { maxSessions, contextTokens, weightBytes } = shape;
      const sums = { ...past };
      let maxQueuedFrames = maxQueued;
      for (const link of links) {
        for (const name of ofLink) sums[name] += link[name];
        maxQueuedFrames = Math.max(maxQueuedFrames, link.longestQueueFrames);
      }
      return {
        ...{ ...count, ...sums, ...stage, openSessions, maxSessions, maxQueuedFrames },
        queuedSteps: queued,
        kvCapacityTokens: maxSessions * contextTokens,
        countedAtMs: Date.now(),
        ...(weightBytes === undefined ? {} : { weightBytes }),
        links: [...links].flatMap(({ peerId, speed }) => (speed ? [{ peerId, ...speed }] : [])),
        computeMs: computeNs / 1e6,
        decodeMs: decodeNs / 1e6,
        waitMs: waitNs / 1e6,
      };
    },
  };
}
