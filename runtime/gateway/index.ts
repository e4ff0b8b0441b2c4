import { setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { AiosError } from '../../sdk/errors.ts';
import type { ControlPlane } from '../control-plane.ts';
import type { Tracer } from '../tracing/index.ts';
import type { GenerationDriver, GraphRunner } from '../vdag/index.ts';
import { createAccessRule } from './access.ts';
import { createAdmission } from './admission.ts';
import { createGatewayApp } from './app.ts';
import { onRequestEnd } from './request-end.ts';

export interface GatewayOptions {
  readonly controlPlane: ControlPlane;
  readonly driver: GenerationDriver;
  readonly runner: GraphRunner;
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** 0: any free one. @default 0 */
  readonly port?: number;
  /** Bearer tokens that may call. Needed to listen beyond this machine. @default none */
  readonly apiKeys?: readonly string[];
  /** Requests answered at once; one more is refused as busy. @default 256 */
  readonly maxConcurrentRequests?: number;
  /** How long an answer may take unless the client's `aios-timeout-ms` says otherwise. @default 600000 */
  readonly requestTimeoutMs?: number;
  /** Makes the spans of requests. @default none are made */
  readonly tracer?: Tracer | undefined;
  readonly log?: (line: string) => void;
}

export interface Gateway {
  /** Serves the control API and `/v1`; no path at its end. */
  readonly url: string;
  /** Ends running answers with CLOSED, then the sockets. Safe to call twice. */
  close(): Promise<void>;
}

/** Longest upload; a body of JSON has a limit of its own. */
const maxUploadMs = 3600e3;
/** What ends a stream well needs a moment to be written. */
const closeGraceMs = 1000;

/**
 * Serves the control API and OpenAI's over HTTP.
 *
 * @throws {AiosError} REQUEST_INVALID - a host beyond this machine without a key; CONNECTION_FAILED - the port is taken
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const host = options.host ?? '127.0.0.1';
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);
  const app = createGatewayApp(
    {
      controlPlane: options.controlPlane,
      driver: options.driver,
      runner: options.runner,
      requestTimeoutMs: options.requestTimeoutMs ?? 600_000,
      tracer: options.tracer,
      log: options.log ?? (() => {}),
    },
    {
      access: createAccessRule(host, options.apiKeys ?? []),
      admission: createAdmission('requests', options.maxConcurrentRequests ?? 256),
      closing: closing.signal,
    },
  );
  const server = createServer(
    {
      headersTimeout: 15_000,
      requestTimeout: maxUploadMs,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 32 * 2 ** 10,
      noDelay: true,
    },
    getRequestListener(app.fetch, { overrideGlobalObjects: false }),
  );
  let running = 0;
  // Clients keep connections open, also some that they never used: only what is being answered counts.
  const closeWhenDone = () => {
    if (closing.signal.aborted && running === 0) server.closeAllConnections();
  };
  server.on('request', (incoming, outgoing) => {
    running += 1;
    onRequestEnd({ incoming, outgoing }, () => {
      running -= 1;
      closeWhenDone();
    });
  });
  const port = await listen(server, host, options.port ?? 0);

  let closed: Promise<void> | undefined;
  const close = async () => {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    closing.abort(new AiosError('CLOSED', 'the control plane is shutting down.'));
    closeWhenDone();
    const timer = setTimeout(() => server.closeAllConnections(), closeGraceMs);
    await ended;
    clearTimeout(timer);
  };
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function listen(server: ReturnType<typeof createServer>, host: string, port: number) {
  return new Promise<number>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new AiosError(
          'CONNECTION_FAILED',
          `cannot listen on ${host}:${port} (${cause.code ?? cause.message}). Choose another with --port; 0 takes any free one.`,
          { cause, retryable: false },
        ),
      ),
    );
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
