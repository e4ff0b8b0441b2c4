import yargs from 'yargs';
import { AiosError } from '../sdk/errors.ts';
import { nearest } from '../sdk/nearest.ts';
import type { Command } from './command.ts';
import { commands } from './commands/index.ts';
import { defaultUrl, type GlobalOptions } from './context.ts';
import type { Io } from './io.ts';

interface Selected {
  readonly command: Command;
  readonly args: GlobalOptions;
}

const nameOf = ({ usage }: Command): string => usage.split(' ')[0] ?? '';

/** Where the first word stands that is no option. */
function wordIndex(argv: readonly string[]): number {
  return argv.findIndex((word, index) => !word.startsWith('-') && argv[index - 1] !== '--url');
}

/** yargs takes a lone `-` for no value at all; a document is then named in a way that it reads. */
const spellStandardInput = (argv: readonly string[]): string[] =>
  argv.map((word, index) =>
    word === '-' && !['-f', '--file'].includes(argv[index - 1] ?? '') ? '--file=-' : word,
  );

/** What yargs found wrong, in our words. */
function wrongUsage(message: string, command: Command | undefined): AiosError {
  const name = command ? `aios ${nameOf(command)}` : 'aios';
  const without = /^Not enough arguments following: (.+)/.exec(message);
  const missing = /^Missing required arguments?: (.+)/.exec(message);
  const choice = /Argument: (.+), Given: (.*), Choices: (.*)/.exec(message);
  let what = message.replace(/[.\s]+$/, '').replace(/^[A-Z]/, (first) => first.toLowerCase());
  if (choice) {
    const given = (choice[2] ?? '').replaceAll('"', "'");
    what = `<${choice[1]}> is ${given}; expected one of ${(choice[3] ?? '').replaceAll('"', '')}`;
  } else if (without) {
    what = `--${without[1]} needs a value`;
  } else if (missing) {
    what = `--${(missing[1] ?? '').split(', ').join(' and --')} must be given`;
  } else if (command && message.startsWith('Not enough non-option arguments')) {
    what = `too few words; expected aios ${command.usage}`;
  }
  return new AiosError('REQUEST_INVALID', `${what}. See ${name} --help.`);
}

/**
 * Reads a command line.
 *
 * @returns the command that was named, or the help that was asked for
 * @throws {AiosError} REQUEST_INVALID
 */
export async function parseArguments(line: readonly string[], io: Io): Promise<Selected | string> {
  const helpAt = wordIndex(line);
  const argv =
    line[helpAt] === 'help'
      ? [...line.slice(0, helpAt), ...line.slice(helpAt + 1), '--help']
      : [...line];
  const word = argv[wordIndex(argv)];
  const named = commands.find((command) => nameOf(command) === word);
  if (word !== undefined && !named) {
    const close = nearest(word, commands.map(nameOf));
    const question = close === undefined ? '' : ` Did you mean '${close}'?`;
    throw new AiosError(
      'REQUEST_INVALID',
      `unknown command '${word}'.${question} aios --help lists the commands.`,
    );
  }

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
    .demandCommand(1, 'name a command')
    .help()
    .version(false)
    .wrap(Math.min(100, io.stdout.columns ?? 80))
    .epilogue(
      'Exit codes: 0 done, 1 our fault, 2 wrong input, 3 not found, 4 conflict, 5 refused, 6 try again, 7 not allowed, 8 broken set-up, 130 cancelled.',
    )
    .exitProcess(false)
    .fail((message, error) => {
      if (error && error.name !== 'YError') throw error;
      throw wrongUsage(message || error.message, named);
    });
  for (const command of commands) {
    parser.command({
      command: command.usage,
      describe: command.summary,
      builder: (inner) => {
        for (const [example, meaning] of command.examples) inner.example(example, meaning);
        return command.options(inner as never);
      },
      handler: (args) => {
        selected = { command, args: args as GlobalOptions };
      },
    });
  }
  let help = '';
  const takesDocument = named?.usage.includes('[spec]') ?? false;
  const words = takesDocument ? spellStandardInput(argv) : argv;
  await parser.parseAsync(words, {}, (_error, _args, output) => {
    help = output;
  });
  return selected ?? help;
}
