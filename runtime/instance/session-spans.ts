import type { AiosError } from '../../sdk/errors.ts';
import type { ShardSpan } from '../dataplane/index.ts';

/** What each traced session did here, one span a session however many steps it has. */
export interface SessionSpans {
  /** @param traceparent - absent: nobody asks */
  opened(session: string, traceparent: string | undefined): void;
  computed(session: string, rows: number, computeNs: number): void;
  waited(session: string, waitNs: number): void;
  closed(session: string, error?: AiosError): void;
  /** Those that are over since the last call. */
  take(): readonly ShardSpan[];
}

/** They are taken every second; more are not kept. */
const maxFinished = 256;

interface Running {
  readonly traceparent: string;
  readonly startedAtMs: number;
  steps: number;
  rows: number;
  computeNs: number;
  waitNs: number;
}

export function createSessionSpans(): SessionSpans {
  const running = new Map<string, Running>();
  let finished: ShardSpan[] = [];

  return {
    opened(session, traceparent) {
      if (traceparent === undefined) return;
      running.set(session, {
        ...{ traceparent, startedAtMs: Date.now() },
        ...{ steps: 0, rows: 0, computeNs: 0, waitNs: 0 },
      });
    },
    computed(session, rows, computeNs) {
      const span = running.get(session);
      if (!span) return;
      span.steps += 1;
      span.rows += rows;
      span.computeNs += computeNs;
    },
    waited(session, waitNs) {
      const span = running.get(session);
      if (span) span.waitNs += waitNs;
    },
    closed(session, error) {
      const span = running.get(session);
      if (!span || !running.delete(session)) return;
      if (finished.length >= maxFinished) return;
      const { computeNs, waitNs, ...rest } = span;
      finished.push({
        ...{ ...rest, endedAtMs: Date.now(), computeMs: computeNs / 1e6, waitMs: waitNs / 1e6 },
        ...(error ? { error: error.code } : {}),
      });
    },
    take() {
      const taken = finished;
      finished = [];
      return taken;
    },
  };
}
