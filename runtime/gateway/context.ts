import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { AiosError } from '../../sdk/errors.ts';
import type { ControlPlane } from '../control-plane.ts';
import type { TraceContext, Tracer } from '../tracing/index.ts';
import type { GenerationDriver, GraphRunner } from '../vdag/index.ts';

/** What every route may use. */
export interface GatewayServices {
  readonly controlPlane: ControlPlane;
  readonly driver: GenerationDriver;
  readonly runner: GraphRunner;
  /** How long an answer may take when the client does not say. */
  readonly requestTimeoutMs: number;
  /** Makes the spans of requests. @default none are made */
  readonly tracer?: Tracer | undefined;
  readonly log: (line: string) => void;
}

/** What is known about one request before its route runs. */
export interface RequestFacts {
  readonly tenant: string;
  /** Which API key was shown, where there are any. */
  readonly keyName?: string | undefined;
  /** Its span, where requests are traced. */
  readonly trace?: TraceContext | undefined;
  /** Aborts when the client goes away or the gateway closes. */
  readonly signal: AbortSignal;
}

export interface GatewayEnv {
  Bindings: HttpBindings;
  Variables: { facts: RequestFacts };
}

export type GatewayContext = Context<GatewayEnv>;

/** Longest answer a client may ask for. */
const maxTimeoutMs = 24 * 3600e3;
export const timeoutHeader = 'aios-timeout-ms';

/** @returns Unix milliseconds by which the answer must be complete: the client's `aios-timeout-ms`, or the default */
export function deadlineOf(context: GatewayContext, services: GatewayServices): number {
  const asked = context.req.header(timeoutHeader);
  if (asked === undefined) return Date.now() + services.requestTimeoutMs;
  const timeoutMs = Number(asked);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > maxTimeoutMs) {
    throw new AiosError(
      'REQUEST_INVALID',
      `the header ${timeoutHeader} is '${asked.slice(0, 40)}'; expected milliseconds from 1 to ${maxTimeoutMs}.`,
    );
  }
  return Date.now() + timeoutMs;
}
