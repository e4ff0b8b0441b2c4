import type { Readable } from 'node:stream';

/** Where text goes: standard output, standard error, or a test's buffer. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** Of a terminal whose size changes. */
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

/** Where keys come from: with `setRawMode` each at once, Ctrl-C as a character among them. */
export interface Input extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
}

/** Everything a command touches of its process, so that a test can run one inside its own. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative file names are resolved against it. */
  readonly cwd: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Calls back at each signal until the returned function is called. */
  onSignal(listener: (signal: 'SIGINT' | 'SIGTERM') => void): () => void;
  /** Ends the process at once, for a user who asked twice. */
  abandon(exitCode: number): void;
}

/** The real process. */
export function processIo(): Io {
  return {
    env: process.env,
    cwd: process.cwd(),
    // Getters: opening standard input keeps a process alive, so only a command that reads it does.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    onSignal(listener) {
      const onInterrupt = (): void => listener('SIGINT');
      const onTerminate = (): void => listener('SIGTERM');
      process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
      return () => process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    },
    abandon: (exitCode) => process.exit(exitCode),
  };
}
