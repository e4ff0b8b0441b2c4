import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type AiosClient, connect } from '../sdk/client/index.ts';
import { AiosError, errorCodes } from '../sdk/errors.ts';
import type { Io } from './io.ts';
import { createProgress, type Progress } from './progress.ts';
import { type Style, styleFor } from './style.ts';
import { renderTable } from './table.ts';

/** Where commands look for a control plane, and where `up` serves one. */
export const defaultPort = 7420;
export const defaultUrl = `http://127.0.0.1:${defaultPort}`;

/** Options every command takes. */
export interface GlobalOptions {
  readonly url?: string | undefined;
  readonly json?: boolean | undefined;
}

/** What a command is given beside its arguments. */
export interface Context {
  readonly io: Io;
  /** Print JSON for programs instead of tables for people. */
  readonly json: boolean;
  readonly style: Style;
  /** On standard error, on a terminal only. */
  readonly progress: Progress;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** The control plane of `--url`, `AIOS_URL`, or this machine. */
  readonly client: AiosClient;
  /** One line on standard output. */
  print(line: string): void;
  /** One line on standard error: hints and warnings, never results. */
  note(line: string): void;
  /** The result: JSON for programs, or what `people` renders. */
  result(value: unknown, people: () => string): void;
  table(titles: readonly string[], rows: readonly (readonly string[])[]): string;
  /** Absolute path of a file named on the command line. */
  path(file: string): string;
  /** Text of a file, or of standard input for `-`. @throws {AiosError} NOT_FOUND, REQUEST_TOO_LARGE */
  readText(file: string): Promise<string>;
  /** While registered, takes Ctrl-C instead of ending the command. */
  onInterrupt(listener: () => void): () => void;
}

/** npm passes Ctrl-C on to a process that the terminal told already: so soon after, it is the same one. */
const repeatMs = 1000;
const maxTextBytes = 64 * 2 ** 20;

async function readAll(stream: AsyncIterable<string | Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    size += bytes.byteLength;
    if (size > maxTextBytes) {
      throw new AiosError(
        'REQUEST_TOO_LARGE',
        `standard input is longer than ${maxTextBytes} bytes.`,
      );
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Why a file cannot be read, without the absolute path that Node repeats. */
function unreadable(file: string, cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `there is no file '${file}'.`;
  if (code === 'EISDIR') return `'${file}' is a folder; name a file in it.`;
  return `cannot read '${file}': ${message}.`;
}

/** @returns the context, and what to call when the command ended */
export function createContext(
  options: GlobalOptions,
  io: Io,
): { readonly context: Context; readonly close: () => void } {
  const controller = new AbortController();
  const interrupts: (() => void)[] = [];
  let abortedAt = 0;
  const stop = io.onSignal((signal) => {
    const listener = signal === 'SIGINT' ? interrupts.at(-1) : undefined;
    if (listener) {
      listener();
    } else if (!controller.signal.aborted) {
      abortedAt = Date.now();
      controller.abort(new AiosError('CANCELLED', 'cancelled.'));
    } else if (signal === 'SIGINT' && Date.now() - abortedAt > repeatMs) {
      io.abandon(errorCodes.CANCELLED.exit);
    }
  });
  const style = styleFor(io.stdout, io.env);
  let client: AiosClient | undefined;

  const context: Context = {
    io,
    json: options.json ?? false,
    style,
    progress: createProgress(io.stderr),
    signal: controller.signal,
    get client() {
      const url = options.url || io.env.AIOS_URL || defaultUrl;
      client ??= connect(url, { apiKey: io.env.AIOS_API_KEY, signal: controller.signal });
      return client;
    },
    print: (line) => void io.stdout.write(`${line}\n`),
    note(line) {
      context.progress.done();
      io.stderr.write(`${line}\n`);
    },
    result(value, people) {
      context.progress.done();
      context.print(context.json ? JSON.stringify(value) : people());
    },
    table(titles, rows) {
      const width = io.stdout.isTTY ? io.stdout.columns : undefined;
      return renderTable(titles, rows, { heading: style.dim, width });
    },
    path: (file) => resolve(io.cwd, file),
    async readText(file) {
      if (file === '-') return readAll(io.stdin);
      try {
        return await readFile(resolve(io.cwd, file), 'utf8');
      } catch (cause) {
        throw new AiosError('NOT_FOUND', unreadable(file, cause), { cause });
      }
    },
    onInterrupt(listener) {
      interrupts.push(listener);
      return () => void interrupts.splice(interrupts.indexOf(listener), 1);
    },
  };
  return { context, close: stop };
}
