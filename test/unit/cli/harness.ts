import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Io } from '../../../cli/io.ts';
import { run } from '../../../cli/run.ts';

export interface FakeIo extends Io {
  readonly stdin: PassThrough;
  readonly output: () => string;
  readonly errors: () => string;
  signal(signal: 'SIGINT' | 'SIGTERM'): void;
}

export interface FakeIoOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly onOutput?: (text: string) => void;
}

/** A process that is none: what is written is kept, signals come from the test. */
export function fakeIo(options: FakeIoOptions = {}): FakeIo {
  let output = '';
  let errors = '';
  const listeners = new Set<(signal: 'SIGINT' | 'SIGTERM') => void>();
  const stdin = new PassThrough();
  if (options.input !== undefined) stdin.end(options.input);
  return {
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    stdin,
    stdout: {
      write(text) {
        output += text;
        options.onOutput?.(text);
      },
    },
    stderr: {
      write(text) {
        errors += text;
      },
    },
    onSignal(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    abandon() {},
    output: () => output,
    errors: () => errors,
    signal: (signal) => {
      for (const listener of listeners) listener(signal);
    },
  };
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process. */
export async function aios(argv: readonly string[], options: FakeIoOptions = {}): Promise<Outcome> {
  const io = fakeIo(options);
  const code = await run(argv, io);
  return { code, out: io.output(), err: io.errors() };
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly json: () => unknown;
}

export type Answer = (asked: Asked, response: ServerResponse) => void | Promise<void>;

export interface FakeServer {
  readonly url: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

/** Answers with the first route whose `METHOD /path` the request starts with. */
export async function serve(routes: Readonly<Record<string, Answer>>): Promise<FakeServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const entry: Asked = {
        method: request.method ?? '',
        path: decodeURIComponent(request.url ?? ''),
        headers: request.headers,
        body,
        json: () => JSON.parse(body.toString()),
      };
      asked.push(entry);
      const line = `${entry.method} ${entry.path}`;
      const route = Object.keys(routes).find((name) => line.startsWith(name));
      const answer = route === undefined ? undefined : routes[route];
      if (answer) void answer(entry, response);
      else void problem(404, 'NOT_FOUND', `nothing at ${line}`)(entry, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export const json =
  (body: unknown, status = 200): Answer =>
  (_asked, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };

export const problem = (
  status: number,
  code: string,
  detail: string,
  problems: readonly unknown[] = [],
): Answer => json({ type: 'about:blank', title: code, status, detail, code, problems }, status);

export const events =
  (...data: readonly unknown[]): Answer =>
  (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of data) {
      response.write(`data: ${event === '[DONE]' ? event : JSON.stringify(event)}\n\n`);
    }
    response.end();
  };
