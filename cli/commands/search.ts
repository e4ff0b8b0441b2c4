import type { Json } from '../../sdk/packet.ts';
import { searchKinds } from '../../sdk/spec/search.ts';
import { defineCommand } from '../command.ts';
import { documentOptions } from '../create.ts';
import { namedFile, readDocument } from '../documents.ts';

const keysOfSearch = [
  'matchType',
  'filter',
  'rankingPolicyRule',
  'body',
  'values',
  'header',
  'head',
];

/** A document that is a whole search, ours or AIOS's, and not only the filter of one. */
const isSearch = (document: unknown): document is Readonly<Record<string, Json>> =>
  typeof document === 'object' &&
  document !== null &&
  keysOfSearch.some((key) => Object.hasOwn(document, key));

export const search = defineCommand({
  usage: 'search <kind> [spec]',
  summary: 'Finds blocks, clusters, vDAGs, components or policies by a filter, best first',
  examples: [
    ['aios search block filter.json', 'those that pass, as a policy orders them'],
    [
      'aios search cluster filter.json --policy given-order:1.0.0-stable --limit 3',
      'the first three',
    ],
  ],
  options: (parser) =>
    documentOptions(parser)
      .positional('kind', { choices: searchKinds, demandOption: true })
      .option('policy', { type: 'string', describe: 'URI of the policy that orders them' })
      .option('limit', { type: 'number', describe: 'How many are shown' }),
  async run(args, context) {
    const document = await readDocument(context, namedFile(args));
    const { kind, policy, limit } = args;
    const wrapped = isSearch(document) && ['body', 'values'].some((key) => key in document);
    const own = isSearch(document) ? document : { filter: document as Json };
    const found = await context.client.search(
      wrapped
        ? own
        : {
            matchType: kind,
            ...own,
            ...(policy === undefined ? {} : { rankingPolicyRule: { policyRuleURI: policy } }),
            ...(limit === undefined ? {} : { limit }),
          },
    );
    context.result(found, () => {
      const rows = found.results.map(({ id, score }, index) => [
        String(index + 1),
        id,
        score === undefined ? '–' : score.toFixed(3),
      ]);
      const summary = `${found.matched} ${found.matchType}s pass`;
      return rows.length === 0
        ? summary
        : `${context.table(['', 'id', 'score'], rows)}\n\n${summary}`;
    });
  },
});
