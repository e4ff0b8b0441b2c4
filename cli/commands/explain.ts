import type { Decision, DecisionKind } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { renderDecision, renderDecisions } from '../decision.ts';

const kinds = ['block', 'scaling', 'instance', 'cluster', 'decision'] as const;
type Kind = (typeof kinds)[number];

/** Decisions that say where a block runs, before those that say how many of it. */
const placing: ReadonlySet<DecisionKind> = new Set(['placement', 'reassignment', 'preemption']);
const kindOf = ({ kind = 'placement' }: Decision): DecisionKind => kind;

async function find(context: Context, kind: Kind, id: string): Promise<readonly Decision[]> {
  const { client } = context;
  if (kind === 'decision') return [await client.decision(id)];
  if (kind === 'block') return client.explain(id);
  if (kind === 'scaling') return client.explainSubject(`block/${id}`, { kind });
  return client.explainSubject(`${kind}/${id}`);
}

/** The newest that answers the question, then all others. */
function ordered(kind: Kind, found: readonly Decision[]): readonly Decision[] {
  const first = kind === 'block' ? found.find((each) => placing.has(kindOf(each))) : undefined;
  return first ? [first, ...found.filter((each) => each !== first)] : found;
}

export const explain = defineCommand({
  usage: 'explain <kind> <id>',
  summary: 'Shows why: every candidate, condition, score and policy of a decision',
  examples: [
    ['aios explain block ocr', 'where it runs or why nowhere, and what else was decided about it'],
    ['aios explain block ocr --all', 'every candidate of thousands, recomputed from the record'],
    ['aios explain scaling ocr', 'why it has as many instances as it has'],
    ['aios explain decision ID --json', 'one decision; aios get decisions lists them'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: kinds, demandOption: true })
      .positional('id', { type: 'string', demandOption: true })
      .option('all', { type: 'boolean', describe: 'Every candidate, also those not listed' })
      .option('history', { type: 'boolean', describe: 'Every decision, newest first' }),
  async run({ kind, id, all, history }, context) {
    const found = ordered(kind, await find(context, kind, id));
    const [first] = found;
    if (!first) {
      throw new AiosError('NOT_FOUND', `no decision about ${kind} '${id}' was recorded yet.`);
    }
    const shown: Decision[] = [];
    for (const decision of history ? found : [first]) {
      const candidates = all ? await context.client.candidates(decision.id) : decision.candidates;
      shown.push({ ...decision, candidates });
    }
    const others = history ? [] : found.slice(1, 6);
    context.result(shown, () =>
      [
        ...shown.map((decision) => renderDecision(decision, context)),
        ...(others.length > 0
          ? [
              `${context.style.dim(`before and beside it (${found.length - 1}; --history shows each):`)}\n${renderDecisions(
                others.map((each) => ({
                  ...each,
                  kind: kindOf(each),
                  subject: each.subject ?? `block/${each.blockId}`,
                })),
                context,
              )}`,
            ]
          : []),
      ].join('\n\n'),
    );
  },
});
