import { AiosError } from '../../sdk/errors.ts';
import { type NetworkSpec, networkSections } from '../../sdk/spec/network.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { documentOptions } from '../create.ts';
import { namedFile, readDocument } from '../documents.ts';

function render(network: NetworkSpec, { table, style }: Context): string {
  const rows = networkSections.flatMap((section) =>
    Object.entries(network[section]).map(([name, { policyRuleURI, parameters, settings }]) => [
      `${section}.${name}`,
      policyRuleURI ?? style.dim("the hook's default"),
      JSON.stringify({ ...parameters, ...settings }),
    ]),
  );
  if (rows.length === 0)
    return 'nothing is set: every hook has its own default, nothing is asked first';
  return table(['name', 'policy', 'parameters and settings'], rows);
}

export const networkGet = defineCommand({
  usage: 'network get',
  summary: 'Shows the default policies, pre-checks and templates of all clusters',
  examples: [['aios network get', 'what is set, as a table']],
  options: (parser) => parser,
  async run(_args, context) {
    const network = await context.client.network();
    context.result(network, () => render(network, context));
  },
});

export const networkSet = defineCommand({
  usage: 'network set [spec]',
  summary: 'Sets what a document names; what it does not name stays',
  examples: [
    [
      `echo '{"preChecks": {"add_block": "require-tags:1.0.0-stable"}}' | aios network set -`,
      'asked before every block, until it is unset',
    ],
  ],
  options: (parser) =>
    documentOptions(parser).option('replace', {
      type: 'boolean',
      describe: 'Forget everything that the document does not name',
    }),
  async run(args, context) {
    const document = await readDocument(context, namedFile(args));
    const { client } = context;
    const network = await (args.replace
      ? client.putNetwork(document)
      : client.patchNetwork(document as Parameters<typeof client.patchNetwork>[0]));
    context.result(network, () => render(network, context));
  },
});

export const networkUnset = defineCommand({
  usage: 'network unset <name>',
  summary: 'Removes one default policy, pre-check or template',
  examples: [['aios network unset preChecks.add_block', 'blocks are created unasked again']],
  options: (parser) =>
    parser.positional('name', {
      type: 'string',
      demandOption: true,
      describe: 'As aios network get shows it',
    }),
  async run({ name }, context) {
    const dot = name.indexOf('.');
    const section = networkSections.find((known) => known === name.slice(0, Math.max(dot, 0)));
    if (!section) {
      throw new AiosError(
        'REQUEST_INVALID',
        `'${name}' names nothing that can be set; write ${networkSections.map((s) => `${s}.NAME`).join(', ')}.`,
      );
    }
    const network = await context.client.patchNetwork({
      [section]: { [name.slice(dot + 1)]: null },
    });
    context.result(network, () => render(network, context));
  },
});
