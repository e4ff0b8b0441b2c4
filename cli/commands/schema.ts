import { resourceKinds } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';

const plurals: Readonly<Record<string, string>> = resourceKinds;

export const schema = defineCommand({
  usage: 'schema [kind]',
  summary: 'Prints the JSON Schema of a document',
  examples: [
    ['aios schema block > block.schema.json', 'for an editor, or to generate code from'],
    ['aios schema', 'lists the kinds'],
  ],
  options: (parser) =>
    parser.positional('kind', { type: 'string', describe: 'block, component, vdag, …' }),
  async run({ kind }, context) {
    const { documentKinds, documentSchema } = await import('../../sdk/json-schema.ts');
    if (kind === undefined) {
      context.result(documentKinds, () => documentKinds.join('\n'));
      return;
    }
    // `get` takes plurals too.
    const known = documentKinds.find((name) => [name, plurals[name]].includes(kind));
    if (known === undefined) {
      throw new AiosError(
        'NOT_FOUND',
        `there is no schema '${kind}'; there is one for ${documentKinds.join(', ')}.`,
      );
    }
    const document = documentSchema(known);
    context.result(document, () => JSON.stringify(document, undefined, 2));
  },
});
