import { readFile } from 'node:fs/promises';
import { AiosError } from '../sdk/errors.ts';
import type { Io } from './io.ts';
import { report } from './report.ts';

/** @returns the version in `package.json`, found from the sources and from dist alike */
export async function packageVersion(): Promise<string> {
  for (const up of ['../package.json', '../../package.json']) {
    const text = await readFile(new URL(up, import.meta.url), 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  return 'unknown';
}

/** `aios --version`, with nothing beside it but `--json`. */
const asksVersion = (argv: readonly string[]): boolean =>
  argv.some((word) => word === '--version' || word === '-v') &&
  argv.every((word) => ['--version', '-v', '--json'].includes(word));

/** Runs one command line. Never throws, never ends the process. @returns the exit code */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const json = argv.includes('--json');
  let close = (): void => {};
  try {
    if (asksVersion(argv)) {
      const version = await packageVersion();
      io.stdout.write(`${json ? JSON.stringify({ version }) : version}\n`);
      return 0;
    }
    const { parseArguments } = await import('./arguments.ts');
    const selected = await parseArguments(argv.length === 0 ? ['--help'] : argv, io);
    if (typeof selected === 'string') {
      io.stdout.write(`${selected}\n`);
      return 0;
    }
    const { createContext } = await import('./context.ts');
    const created = createContext(selected.args, io);
    close = created.close;
    return (await selected.command.run(selected.args, created.context)) ?? 0;
  } catch (error) {
    return report(AiosError.from(error), json, io);
  } finally {
    close();
  }
}
