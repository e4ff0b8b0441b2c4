import {
  type DecisionKind,
  type DecisionOutcome,
  decisionKinds,
  decisionOutcomes,
  type ResourceKind,
} from '../../sdk/client/api.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { renderDecision, renderDecisions } from '../decision.ts';
import { findVdag } from '../find-vdag.ts';
import { kindNames, toKind } from '../kinds.ts';
import { numeric } from '../numbers.ts';
import {
  renderBlocks,
  renderComponents,
  renderLayers,
  renderNodes,
  renderPolicies,
  renderVdags,
} from '../overview.ts';

const lists: { readonly [K in ResourceKind]: (context: Context) => Promise<void> } = {
  async cluster(context) {
    const found = await context.client.list('cluster');
    context.result(found, () => renderNodes(found, context));
  },
  async block(context) {
    const found = await context.client.list('block');
    context.result(found, () => renderBlocks(found, context));
  },
  async vdag(context) {
    const found = await context.client.list('vdag');
    context.result(found, () => renderVdags(found, context));
  },
  async component(context) {
    const found = await context.client.list('component');
    context.result(found, () => renderComponents(found, context));
  },
  async policy(context) {
    const found = await context.client.list('policy');
    context.result(found, () => renderPolicies(found, context));
  },
};

const decisionNames: readonly string[] = ['decision', 'decisions'];
const layerNames: readonly string[] = ['layer', 'layers'];

async function getLayers(hash: string | undefined, context: Context): Promise<void> {
  if (hash !== undefined) {
    const layer = await context.client.layer(hash);
    context.result(layer, () => JSON.stringify(layer, undefined, 2));
    return;
  }
  const found = await context.client.layers();
  context.result(found, () => renderLayers(found, context));
}

interface DecisionArguments {
  readonly about?: string | undefined;
  readonly of?: DecisionKind | undefined;
  readonly outcome?: DecisionOutcome | undefined;
  readonly limit?: number | undefined;
}

async function getDecisions(
  id: string | undefined,
  { about, of, outcome, limit }: DecisionArguments,
  context: Context,
): Promise<void> {
  if (id !== undefined) {
    const decision = await context.client.decision(id);
    context.result(decision, () => renderDecision(decision, context));
    return;
  }
  const found = await context.client.decisions({ subject: about, kind: of, outcome, limit });
  context.result(found, () => renderDecisions(found, context));
}

export const get = defineCommand({
  usage: 'get <kind> [id]',
  summary: 'Lists one kind of thing, or shows one of them',
  examples: [
    ['aios get blocks', 'a table'],
    ['aios get block ocr', 'one, whole, as JSON'],
    ['aios get policies', 'built-in and uploaded'],
    ['aios get decisions --outcome refused', 'what was refused, newest first'],
    ['aios get layers', 'parts of models: which blocks run them, for which vDAGs'],
  ],
  options: (parser) =>
    parser
      .positional('kind', {
        choices: [...kindNames, ...decisionNames, ...layerNames],
        demandOption: true,
      })
      .positional('id', { type: 'string' })
      .option('about', { type: 'string', nargs: 1, describe: 'Decisions: block/ocr, cluster' })
      .option('of', { choices: decisionKinds, describe: 'Decisions: of this kind' })
      .option('outcome', { choices: decisionOutcomes, describe: 'Decisions: with this end' })
      .option('limit', {
        ...numeric('--limit', { least: 1, most: 1000, whole: true }),
        describe: 'Decisions: at most so many',
      }),
  async run(args, context) {
    if (decisionNames.includes(args.kind)) {
      await getDecisions(args.id, args, context);
      return;
    }
    if (layerNames.includes(args.kind)) {
      await getLayers(args.id, context);
      return;
    }
    const kind = toKind(args.kind);
    if (args.id === undefined) {
      await lists[kind](context);
      return;
    }
    const id = kind === 'vdag' ? await findVdag(context.client, args.id) : args.id;
    const found = await context.client.get(kind, id);
    context.result(found, () => JSON.stringify(found, undefined, 2));
  },
});
