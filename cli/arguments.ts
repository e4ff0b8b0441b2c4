import yargs, { type Argv } from 'yargs';
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

/** `policy test` of `policy test <file>`. */
const nameOf = ({ usage }: Command): string => usage.replace(/\s*[[<].*$/, '');
const groupOf = (command: Command): string => nameOf(command).split(' ')[0] ?? '';
/** Commands of two words, such as `policy test`, are shown under the first, which may be a command too. */
const isGrouped = (command: Command): boolean =>
  commands.some((other) => groupOf(other) === groupOf(command) && nameOf(other).includes(' '));

/** What each group is for, by its word. */
const groups: Readonly<Record<string, string>> = {
  artifacts: 'Shows how much code and weights are kept, and removes what nothing refers to',
  policy: 'Writes, checks, tests, measures, publishes and manages policies',
  network: "Shows and sets the network's default policies and pre-checks",
};

/** Where the first word stands that is no option. */
function wordIndex(argv: readonly string[]): number {
  return argv.findIndex((word, index) => !word.startsWith('-') && argv[index - 1] !== '--url');
}

/**
 * @returns nothing for a lone group word, or none at all
 * @throws {AiosError} REQUEST_INVALID
 */
function findCommand(argv: readonly string[]): Command | undefined {
  const at = wordIndex(argv);
  const word = argv[at];
  if (word === undefined) return undefined;
  const next = argv.slice(at + 1).find((other) => !other.startsWith('-'));
  const group = commands.filter((command) => isGrouped(command) && groupOf(command) === word);
  const found =
    group.find((command) => nameOf(command) === `${word} ${next}`) ??
    commands.find((command) => nameOf(command) === word);
  if (found || (group.length > 0 && next === undefined)) return found;
  const wrong = group.length > 0 ? `${word} ${next}` : word;
  const close = nearest(wrong, commands.map(nameOf));
  const question = close === undefined ? '' : ` Did you mean '${close}'?`;
  throw new AiosError(
    'REQUEST_INVALID',
    `unknown command '${wrong}'.${question} aios ${group.length > 0 ? `${word} ` : ''}--help lists the commands.`,
  );
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
  const named = findCommand(argv);

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
  const add = (to: Argv, command: Command, usage: string): Argv =>
    to.command({
      command: usage,
      describe: command.summary,
      builder: (inner) => {
        for (const [example, meaning] of command.examples) inner.example(example, meaning);
        return command.options(inner as never);
      },
      handler: (args) => {
        selected = { command, args: args as unknown as GlobalOptions };
      },
    });
  for (const command of commands) {
    const group = groupOf(command);
    if (!isGrouped(command)) {
      add(parser, command, command.usage);
    } else if (commands.find((other) => groupOf(other) === group) === command) {
      const members = commands.filter((other) => isGrouped(other) && groupOf(other) === group);
      parser.command(group, groups[group] ?? command.summary, (inner) => {
        for (const member of members) {
          add(inner, member, member.usage.slice(group.length + 1) || '$0');
        }
        if (members.some((member) => nameOf(member) === group)) return inner;
        return inner.demandCommand(1, `name one: ${members.map(nameOf).join(', ')}`);
      });
    }
  }
  let help = '';
  const takesDocument = named?.usage.includes('[spec]') ?? false;
  const words = takesDocument ? spellStandardInput(argv) : argv;
  await parser.parseAsync(words, {}, (_error, _args, output) => {
    help = output;
  });
  return selected ?? help;
}
