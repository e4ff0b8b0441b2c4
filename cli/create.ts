import type { Created, ResourceKind } from '../sdk/client/api.ts';
import { formatProblems } from '../sdk/errors.ts';
import { type Command, defineCommand } from './command.ts';
import type { Context } from './context.ts';
import { type DocumentArguments, namedFile, readDocument } from './documents.ts';

interface CreateCommand {
  readonly kind: ResourceKind;
  readonly summary: string;
  readonly examples: Command['examples'];
  /** Turns what was named into a document. @default reads JSON */
  readonly load?: (context: Context, file: string) => Promise<unknown>;
}

/** Says what was created and what to look at. */
export function reportCreated(context: Context, created: Created): void {
  if (created.warnings.length > 0 && !context.json) {
    context.note(context.style.warn('accepted, with warnings:'));
    context.note(formatProblems(created.warnings));
  }
  context.result(created, () => `${created.kind} ${context.style.bold(created.id)} created`);
}

/** `create-component`, `create-vdag` and the like: a document, sent. */
export function createCommand({ kind, summary, examples, load = readDocument }: CreateCommand) {
  return defineCommand({
    usage: `create-${kind} [spec]`,
    summary,
    examples,
    options: (parser) =>
      documentOptions(parser).option('replace', {
        type: 'boolean',
        describe: 'Replace it when it exists',
      }),
    async run(args: DocumentArguments & { readonly replace?: boolean | undefined }, context) {
      const document = await load(context, namedFile(args));
      const created = await context.client.create(kind, document, { replace: args.replace });
      reportCreated(context, created);
    },
  });
}

type Parser = Parameters<Command['options']>[0];

/** `[spec]` or `-f FILE`. */
export const documentOptions = (parser: Parser) =>
  parser
    .positional('spec', { type: 'string', describe: 'Document, ours or in the AIOS form' })
    .option('file', {
      alias: 'f',
      type: 'string',
      describe: 'The same, by name; - is standard input',
    });
