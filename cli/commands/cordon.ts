import type { NodeCordons } from '../../sdk/client/index.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { drainNode } from '../drain-node.ts';

const cluster = { type: 'string', demandOption: true, describe: 'Id of the cluster' } as const;
const node = { type: 'string', demandOption: true, describe: 'Id of the node' } as const;

export const drain = {
  type: 'boolean',
  describe: 'Has what runs there elsewhere first: successors are started, then sessions go over',
} as const;
export const drainTimeout = {
  type: 'string',
  default: '2m',
  describe: 'How long draining may take',
} as const;

function shown({ clusterId, cordons }: NodeCordons): string {
  const named = [...new Set(cordons.map(({ nodeId }) => nodeId))].join(', ');
  return `cordoned in cluster ${clusterId}: ${named || 'no node'}`;
}

export const cordon = defineCommand({
  usage: 'cordon <cluster> <node>',
  summary:
    'Keeps new instances off a machine, after the pre-check of cluster_mgmt; those it has stay',
  examples: [
    ['aios cordon home n3 --reason "new disk"', 'until aios uncordon, over restarts too'],
    ['aios cordon home n3 --drain', 'answers under way go on elsewhere; returns when it is empty'],
  ],
  options: (parser) =>
    parser
      .positional('cluster', cluster)
      .positional('node', node)
      .option('reason', { type: 'string', nargs: 1, describe: 'Shown to whoever looks' })
      .option('drain', drain)
      .option('timeout', drainTimeout),
  async run(args, context) {
    const { client } = context;
    const left = args.drain
      ? await drainNode(
          context,
          { clusterId: args.cluster, nodeId: args.node },
          args.reason,
          parseDurationMs(args.timeout),
        )
      : [];
    const found = await client.cordon(args.cluster, args.node, args.reason);
    context.result(args.drain ? { ...found, left } : found, () =>
      [shown(found), ...left.map((id) => `left: ${id}`)].join('\n'),
    );
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
