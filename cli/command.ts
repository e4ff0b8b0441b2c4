import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { Context, GlobalOptions } from './context.ts';

/** One command of `aios`. Its file imports heavy things inside `run`, so that `aios --help` stays quick. */
export interface Command {
  /** `get <kind> [id]`, as yargs reads it. */
  readonly usage: string;
  /** One sentence. */
  readonly summary: string;
  /** At least one line that works, and what it does. */
  readonly examples: readonly (readonly [line: string, meaning: string])[];
  options(parser: Argv<GlobalOptions>): Argv<unknown>;
  /** @returns an exit code when the result itself is bad news; otherwise 0 */
  run(args: unknown, context: Context): Promise<number | undefined>;
}

interface CommandDefinition<A> extends Pick<Command, 'usage' | 'summary' | 'examples'> {
  readonly options: (parser: Argv<GlobalOptions>) => Argv<A>;
  readonly run: (
    args: ArgumentsCamelCase<A>,
    context: Context,
    // biome-ignore lint/suspicious/noConfusingVoidType: most commands return nothing
  ) => Promise<number | void>;
}

/** Types `args` from `options`. */
export function defineCommand<A>(definition: CommandDefinition<A>): Command {
  return definition as unknown as Command;
}
