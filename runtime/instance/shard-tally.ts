import type { ShardCounters } from '../../sdk/client/api.ts';
import type { FlowLink } from '../dataplane/index.ts';
import type { StageCounters } from '../model/stage.ts';

/** Counts what a shard does; `ShardCounters` is its reading. */
export interface ShardTally {
  linkOpened(link: FlowLink): void;
  linkDown(link: FlowLink): void;
  sessionOpened(openSessions: number): void;
  sessionClosed(): void;
  stepQueued(): void;
  /** It was computed, or dropped with its session. */
  stepLeftQueue(): void;
  stepDone(session: string): void;
  /** From its arrival to the result's departure, without computing. */
  stepWaited(waitNs: number): void;
  tokenSent(): void;
  read(openSessions: number, maxSessions: number, stage: StageCounters): ShardCounters;
}

const ofLink = ['framesIn', 'framesOut', 'bytesIn', 'bytesOut', 'payloadCopies'] as const;

export function createShardTally(): ShardTally {
  const links = new Set<FlowLink>();
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
    sessionOpened(openSessions) {
      count.sessionsOpened += 1;
      count.maxOpenSessions = Math.max(count.maxOpenSessions, openSessions);
    },
    sessionClosed() {
      count.sessionsClosed += 1;
    },
    stepQueued() {
      queued += 1;
      maxQueued = Math.max(maxQueued, queued);
    },
    stepLeftQueue() {
      queued -= 1;
    },
    stepDone(session) {
      count.steps += 1;
      if (lastSession !== undefined && lastSession !== session) count.sessionSwitches += 1;
      lastSession = session;
    },
    stepWaited(ns) {
      waitNs += ns;
    },
    tokenSent() {
      count.tokens += 1;
    },
    read(openSessions, maxSessions, { computeNs, ...stage }) {
      const sums = { ...past };
      let maxQueuedFrames = maxQueued;
      for (const link of links) {
        for (const name of ofLink) sums[name] += link[name];
        maxQueuedFrames = Math.max(maxQueuedFrames, link.longestQueueFrames);
      }
      return {
        ...{ ...count, ...sums, ...stage, openSessions, maxSessions, maxQueuedFrames },
        queuedSteps: queued,
        computeMs: computeNs / 1e6,
        waitMs: waitNs / 1e6,
      };
    },
  };
}
