import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { documentOptions } from '../create.ts';
import { namedFile, readDocument } from '../documents.ts';
import { drainNode } from '../drain-node.ts';
import { drain, drainTimeout } from './cordon.ts';

const clusterId = {
  type: 'string',
  demandOption: true,
  describe: 'Id of the cluster',
} as const;

export const addNode = defineCommand({
  usage: 'add-node <cluster> [spec]',
  summary: 'Adds a machine to a cluster, after its pre-checks',
  examples: [
    [
      `echo '{"id": "n3", "memoryBytes": "8Gi", "cpuCores": 4}' | aios add-node home -`,
      'blocks that wait for room try again',
    ],
  ],
  options: (parser) => documentOptions(parser).positional('cluster', clusterId),
  async run(args, context) {
    const node = await readDocument(context, namedFile(args));
    const created = await context.client.addNode(args.cluster, node);
    context.result(
      created,
      () => `cluster ${context.style.bold(created.id)} has ${created.spec.nodes.length} nodes`,
    );
  },
});

export const removeNode = defineCommand({
  usage: 'remove-node <cluster> <node>',
  summary: 'Takes a machine out of a cluster, after its pre-checks; one that holds instances stays',
  examples: [
    ['aios remove-node home n3', 'refused with what runs there, if anything does'],
    ['aios remove-node home n3 --drain', 'what runs there goes on elsewhere first'],
  ],
  options: (parser) =>
    parser
      .positional('cluster', clusterId)
      .positional('node', { type: 'string', demandOption: true, describe: 'Id of the node' })
      .option('drain', drain)
      .option('timeout', drainTimeout),
  async run({ cluster, node, ...args }, context) {
    if (args.drain) {
      const limitMs = parseDurationMs(args.timeout);
      await drainNode(context, { clusterId: cluster, nodeId: node }, 'it is removed', limitMs);
    }
    const created = await context.client.removeNode(cluster, node);
    context.result(
      created,
      () => `cluster ${context.style.bold(created.id)} has ${created.spec.nodes.length} nodes`,
    );
  },
});
