import { readFile } from 'node:fs/promises';
import { AiosError, errorCodes, formatProblems } from '../sdk/errors.ts';
import type { Command } from './command.ts';
import type { GlobalOptions } from './context.ts';
import type { Io } from './io.ts';
import { styleFor } from './style.ts';

/** @returns the version in `package.json`, found from the sources and from dist alike */
export async function packageVersion(): Promise<string> {
  for (const up of ['../package.json', '../../package.json']) {
    const text = await readFile(new URL(up, import.meta.url), 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  return 'unknown';
}

interface Selected {
  readonly command: Command;
  readonly args: GlobalOptions;
}

/** @returns the command that was named, or the help that was asked for */
async function parse(argv: readonly string[], io: Io): Promise<Selected | string> {
  const [{ default: yargs }, { commands }, { defaultUrl }] = await Promise.all([
    import('yargs'),
    import('./commands/index.ts'),
    import('./context.ts'),
  ]);
  let selected: Selected | undefined;
  const parser = yargs()
    .scriptName('aios')
    .usage('$0 <command>\n\nSplits models, places blocks by policy, and runs them as one thing.')
    .option('url', {
      type: 'string',
      describe: 'Address of the control plane',
      defaultDescription: `AIOS_URL, or ${defaultUrl}`,
    })
    .option('json', { type: 'boolean', describe: 'Print JSON for programs' })
    .strict()
    .recommendCommands()
    .demandCommand(1, 'Name a command; `aios --help` lists them.')
    .help()
    .version(false)
    .wrap(Math.min(100, io.stdout.columns ?? 80))
    .epilogue(
      'Exit codes: 0 done, 1 our fault, 2 wrong input, 3 not found, 4 conflict, 5 refused, 6 try again, 7 not allowed, 8 broken set-up, 130 cancelled.',
    )
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new AiosError('REQUEST_INVALID', message);
    });
  for (const command of commands) {
    parser.command({
      command: command.usage,
      describe: command.summary,
      builder: (inner) => {
        for (const [line, meaning] of command.examples) inner.example(line, meaning);
        return command.options(inner as never);
      },
      handler: (args) => {
        selected = { command, args: args as GlobalOptions };
      },
    });
  }
  let help = '';
  await parser.parseAsync([...argv], {}, (_error, _args, output) => {
    help = output;
  });
  return selected ?? help;
}

function report(error: AiosError, json: boolean, io: Io): number {
  if (json) {
    io.stderr.write(`${JSON.stringify({ error: error.serialize() })}\n`);
  } else if (error.code !== 'CANCELLED') {
    const style = styleFor(io.stderr, io.env);
    io.stderr.write(`${style.bad(error.code)} ${error.message}\n`);
    if (error.problems.length > 0) io.stderr.write(`${formatProblems(error.problems)}\n`);
  }
  if (io.env.AIOS_DEBUG && error.stack) io.stderr.write(`${error.stack}\n`);
  return errorCodes[error.code].exit;
}

/** Runs one command line. Never throws, never ends the process. @returns the exit code */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let close = (): void => {};
  try {
    if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
      io.stdout.write(`${await packageVersion()}\n`);
      return 0;
    }
    const selected = await parse(argv.length === 0 ? ['--help'] : argv, io);
    if (typeof selected === 'string') {
      io.stdout.write(`${selected}\n`);
      return 0;
    }
    const { createContext } = await import('./context.ts');
    const created = createContext(selected.args, io);
    close = created.close;
    await selected.command.run(selected.args, created.context);
    return 0;
  } catch (error) {
    return report(AiosError.from(error), argv.includes('--json'), io);
  } finally {
    close();
  }
}
