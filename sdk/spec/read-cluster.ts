import { clusterSpec } from './cluster.ts';
import { checkTotals } from './cluster-totals.ts';
import { isObject, type Located } from './located.ts';
import { readPolicies } from './policy-references.ts';
import { readNode } from './read-node.ts';
import { readClusterConfig, readPreChecks } from './read-pre-checks.ts';
import { Fields } from './reading.ts';
import type { DocumentReader, Source } from './source.ts';

function checkNodeIds(source: Source): void {
  const seen = new Set<unknown>();
  const nodes = Array.isArray(source.draft.value.nodes) ? source.draft.value.nodes : [];
  for (const [index, { id }] of (nodes as { id?: unknown }[]).entries()) {
    if (id !== undefined && seen.has(id)) {
      source.reading.problem(
        { path: source.reading.locate(['nodes', index, 'id']), value: id },
        {
          message: `node id '${String(id)}' is taken by a node before it`,
          expected: 'an id of its own',
        },
      );
    }
    seen.add(id);
  }
}

function readNodes(source: Source): Located {
  const { draft, reading } = source;
  const nodes = source.fields.take('nodes');
  let list = nodes;
  let count: Located = { value: undefined, path: nodes.path };
  if (isObject(nodes.value)) {
    const group = new Fields(reading, nodes);
    count = group.take('count');
    list = group.take('nodeData', 'nodesData');
    group.done();
    if (list.value === undefined && count.value !== undefined && count.value !== 0) {
      reading.warn(nodes, 'counts nodes without describing them; the cluster starts without nodes');
    }
  }
  draft.each('nodes', list, (node, located) => readNode(source, node, located));
  return count;
}

export const clusterReader: DocumentReader<typeof clusterSpec> = {
  schema: clusterSpec,
  aiosKeys: ['clusterMetadata', 'vcpus', 'gpus', 'memory', 'storage', 'network', 'swap'],
  read(source) {
    const { draft, fields, reading } = source;
    source.copy('id', 'regionId', 'backend', 'tags', 'reputation', 'status', 'config');
    draft.put('metadata', source.pick('metadata', 'clusterMetadata'));
    const count = readNodes(source);
    checkTotals(source, count);
    checkNodeIds(source);
    for (const data of Object.values(readPolicies(draft, fields.take('policies')))) {
      reading.problem(data, { message: 'is no policy', expected: 'an object with policyRuleURI' });
    }
    readPreChecks(draft, fields.take('preChecks'));
    readClusterConfig(draft);
    return undefined;
  },
};
