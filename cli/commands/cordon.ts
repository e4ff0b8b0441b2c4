import type { NodeCordons } from '../../sdk/client/index.ts';
import { defineCommand } from '../command.ts';

const cluster = { type: 'string', demandOption: true, describe: 'Id of the cluster' } as const;
const node = { type: 'string', demandOption: true, describe: 'Id of the node' } as const;

function shown({ clusterId, cordons }: NodeCordons): string {
  const named = [...new Set(cordons.map(({ nodeId }) => nodeId))].join(', ');
  return `cordoned in cluster ${clusterId}: ${named || 'no node'}`;
}

export const cordon = defineCommand({
  usage: 'cordon <cluster> <node>',
  summary:
    'Keeps new instances off a machine, after the pre-check of cluster_mgmt; those it has stay',
  examples: [['aios cordon home n3 --reason "new disk"', 'until aios uncordon, over restarts too']],
  options: (parser) =>
    parser
      .positional('cluster', cluster)
      .positional('node', node)
      .option('reason', { type: 'string', nargs: 1, describe: 'Shown to whoever looks' }),
  async run(args, context) {
    const found = await context.client.cordon(args.cluster, args.node, args.reason);
    context.result(found, () => shown(found));
  },
});

export const uncordon = defineCommand({
  usage: 'uncordon <cluster> <node>',
  summary: 'Lets new instances onto a machine again; a stability checker may cordon it anew',
  examples: [['aios uncordon home n3', 'blocks that wait for room try again']],
  options: (parser) => parser.positional('cluster', cluster).positional('node', node),
  async run(args, context) {
    const found = await context.client.uncordon(args.cluster, args.node);
    context.result(found, () => shown(found));
  },
});
