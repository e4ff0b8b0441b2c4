import type { ResourceKind } from '../../sdk/client/api.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { findVdag } from '../find-vdag.ts';
import { kindNames, toKind } from '../kinds.ts';
import {
  renderBlocks,
  renderComponents,
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

export const get = defineCommand({
  usage: 'get <kind> [id]',
  summary: 'Lists one kind of thing, or shows one of them',
  examples: [
    ['aios get blocks', 'a table'],
    ['aios get block ocr', 'one, whole, as JSON'],
    ['aios get policies', 'built-in and uploaded'],
  ],
  options: (parser) =>
    parser
      .positional('kind', { choices: kindNames, demandOption: true })
      .positional('id', { type: 'string' }),
  async run(args, context) {
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
