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

/** What was accepted but is worth a look; programs find it in the result. */
export function noteWarnings(context: Context, { warnings }: Created): void {
  if (warnings.length === 0 || context.json) return;
  context.note(context.style.warn('accepted, with warnings:'));
  context.note(formatProblems(warnings));
}

/** Says what was created or replaced, and what to look at. */
export function reportCreated(context: Context, created: Created, replaced = false): void {
  noteWarnings(context, created);
  const verb = replaced ? 'replaced' : 'created';
  context.result(created, () => `${created.kind} ${context.style.bold(created.id)} ${verb}`);
}

/** Creates, or replaces what the document names. A document may leave its id to be derived, so ids are asked for before. */
export async function createOrReplace(
  { client }: Context,
  kind: ResourceKind,
  document: unknown,
  replace: boolean | undefined,
): Promise<{ readonly created: Created; readonly replaced: boolean }> {
  const before = replace ? await client.list(kind) : [];
  const created = await client.create(kind, document, { replace });
  const replaced = before.some((view) => {
    const named = 'spec' in view ? view.spec : view;
    return ('uri' in named ? named.uri : named.id) === created.id;
  });
  return { created, replaced };
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
      const { created, replaced } = await createOrReplace(context, kind, document, args.replace);
      reportCreated(context, created, replaced);
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
      nargs: 1,
      describe: 'The same, by name; - is standard input',
    });
