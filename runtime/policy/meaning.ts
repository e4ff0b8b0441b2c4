import type { Problem } from '../../sdk/errors.ts';
import type { Assignment, HookAction, HookInput, HookName, HookOutput } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';

/** What a schema cannot say: that an answer names things which were in the question. */
type Meanings = {
  readonly [H in HookName]?: {
    readonly [A in HookAction<H>]?: (
      input: HookInput<H, A>,
      output: HookOutput<H, A>,
    ) => readonly Problem[];
  };
};

type Named = { readonly id: string };

function unknownName(
  what: string,
  path: string,
  name: string,
  known: ReadonlySet<string>,
): readonly Problem[] {
  if (known.has(name)) return [];
  const close = nearest(name, known);
  return [
    {
      path,
      message: `names no ${what} of the question`,
      seen: JSON.stringify(name.slice(0, 80)),
      ...(close === undefined ? {} : { nearest: close }),
    },
  ];
}

const idsOf = (things: readonly Named[]) => new Set(things.map(({ id }) => id));

/** Policies mostly answer in the order of the question: then thousands of names need no index. */
function unknownNodes(
  rows: readonly { readonly nodeId: string }[],
  asked: readonly Named[],
  whole: readonly Named[],
): readonly Problem[] {
  let known: ReadonlySet<string> | undefined;
  const problems: Problem[] = [];
  for (const [at, { nodeId }] of rows.entries()) {
    if (asked[at]?.id === nodeId) continue;
    known ??= idsOf(whole);
    problems.push(...unknownName('node', `$.nodes[${at}].nodeId`, nodeId, known));
    if (problems.length >= maxProblems) break;
  }
  return problems;
}

/** Each looks for the nearest name, which takes its time. */
const maxProblems = 20;

type Placing = HookInput<'resourceAllocator', 'dry_run' | 'allocation' | 'scale' | 'reassignment'>;

/** Of thousands of nodes, an answer names a few. */
function nodesNamed(nodes: Placing['nodes'], ids: ReadonlySet<string>) {
  const found = new Map<string, Placing['nodes'][number]>();
  for (const node of nodes) {
    if (found.size === ids.size) break;
    if (ids.has(node.id)) found.set(node.id, node);
  }
  return found;
}

function assignmentProblems(
  { block, instances, nodes }: Placing,
  assignments: readonly Assignment[],
): readonly Problem[] {
  if (assignments.length !== instances) {
    return [
      {
        path: '$.assignments',
        message: 'must place every instance, or none',
        expected: `${instances} or 0`,
        seen: String(assignments.length),
      },
    ];
  }
  const byId = nodesNamed(nodes, new Set(assignments.map(({ nodeId }) => nodeId)));
  let misnamed = 0;
  return assignments.flatMap(({ nodeId, gpus }, at): readonly Problem[] => {
    const path = `$.assignments[${at}]`;
    const node = byId.get(nodeId);
    if (!node) {
      misnamed += 1;
      return misnamed > maxProblems
        ? []
        : unknownName('node', `${path}.nodeId`, nodeId, idsOf(nodes));
    }
    const wanted = block.resources.gpus.length;
    const distinct = new Set(gpus).size === gpus.length;
    if (gpus.length !== wanted || !distinct) {
      const expected = `${wanted} different devices`;
      const seen = JSON.stringify(gpus).slice(0, 80);
      return [{ path: `${path}.gpus`, message: 'must name a device a GPU', expected, seen }];
    }
    const missing = gpus.find((index) => !node.gpus.some((device) => device.index === index));
    return missing === undefined
      ? []
      : [{ path: `${path}.gpus`, message: `node '${nodeId}' has no GPU ${missing}` }];
  });
}

function scoreProblems(
  { nodes }: Placing,
  scores: readonly number[] | undefined,
): readonly Problem[] {
  if (!scores || scores.length === nodes.length) return [];
  const message = 'must hold a score for each node of the question, in its order';
  const expected = `${nodes.length} numbers`;
  return [{ path: '$.scores', message, expected, seen: String(scores.length) }];
}

function placesProblems(
  input: Placing,
  { assignments, nodes, scores }: HookOutput<'resourceAllocator', 'dry_run'>,
): readonly Problem[] {
  return [
    ...(assignments.length > 0 ? assignmentProblems(input, assignments) : []),
    ...scoreProblems(input, scores),
    ...unknownNodes(nodes, input.nodes, input.cluster.nodes),
  ];
}

export const meanings: Meanings = {
  clusterAllocator: {
    selection: ({ clusters }, output) => {
      const known = idsOf(clusters);
      return [
        ...output.clusters.flatMap((id, at) =>
          unknownName('cluster', `$.clusters[${at}]`, id, known),
        ),
        ...output.refused.flatMap(({ clusterId }, at) =>
          unknownName('cluster', `$.refused[${at}].clusterId`, clusterId, known),
        ),
        ...(new Set(output.clusters).size < output.clusters.length
          ? [{ path: '$.clusters', message: 'names a cluster twice' }]
          : []),
      ];
    },
    post_dry_run: ({ candidates }, { clusterId }) =>
      unknownName(
        'candidate',
        '$.clusterId',
        clusterId,
        new Set(candidates.map((candidate) => candidate.clusterId)),
      ),
  },
  resourceAllocator: {
    dry_run: placesProblems,
    scale: placesProblems,
    reassignment: (input, output) => ('skip' in output ? [] : placesProblems(input, output)),
    allocation: (input, output) => {
      if (!output.accept) return [];
      if (!input.plan) return assignmentProblems(input, output.assignments ?? []);
      return output.assignments
        ? [
            {
              path: '$.assignments',
              message: 'the plan is reserved already: accept or refuse it, without assignments',
            },
          ]
        : [];
    },
  },
  adhocAllocator: {
    allocate: ({ clusters }, output) =>
      'refused' in output
        ? []
        : unknownName('cluster', '$.clusterId', output.clusterId, idsOf(clusters)),
  },
  preemption: {
    preempt: ({ options }, output) =>
      'refused' in output || output.option < options.length
        ? []
        : [
            {
              path: '$.option',
              message: 'names no option of the question',
              expected: `below ${options.length}`,
              seen: String(output.option),
            },
          ],
  },
  loadBalancer: {
    load_balance: ({ instances }, { instanceId }) =>
      unknownName('instance', '$.instanceId', instanceId, idsOf(instances)),
  },
  autoscaler: {
    evaluate: ({ block }, output) =>
      'hold' in output
        ? []
        : (output.remove ?? []).flatMap((id, at) =>
            unknownName('instance', `$.remove[${at}]`, id, idsOf(block.instances)),
          ),
  },
  stabilityChecker: {
    block: ({ instances }, { actions }) =>
      actions.flatMap(({ instanceId }, at) =>
        unknownName('instance', `$.actions[${at}].instanceId`, instanceId, idsOf(instances)),
      ),
    cluster: ({ cluster }, { cordon }) =>
      cordon.flatMap((id, at) => unknownName('node', `$.cordon[${at}]`, id, idsOf(cluster.nodes))),
  },
  assignment: {
    assign: ({ candidates }, output) =>
      'refused' in output
        ? []
        : unknownName(
            'candidate',
            '$.blockId',
            output.blockId,
            idsOf(candidates.map(({ block }) => block)),
          ),
  },
  ranking: {
    rank: ({ candidates }, { ranked }) => {
      const known = idsOf(candidates);
      return ranked.flatMap(({ id }, at) =>
        unknownName('candidate', `$.ranked[${at}].id`, id, known),
      );
    },
  },
  splitPlanner: {
    plan: ({ model, shards, nodes }, output) => {
      if ('infeasible' in output) return [];
      const { firstLayers } = output;
      const seen = JSON.stringify(firstLayers).slice(0, 80);
      const path = '$.firstLayers';
      const ascending = firstLayers.every(
        (layer, at) => layer < model.layers.length && layer > (firstLayers[at - 1] ?? -1),
      );
      if (firstLayers[0] !== 0 || !ascending) {
        const expected = `ascending from 0, each below ${model.layers.length}`;
        return [{ path, message: 'are no cuts of the model', expected, seen }];
      }
      if (shards !== undefined && shards !== firstLayers.length) {
        return [{ path, message: 'has another number of shards', expected: String(shards), seen }];
      }
      if (output.nodes && output.nodes.length !== firstLayers.length) {
        const expected = `${firstLayers.length}, one a shard`;
        return [{ path: '$.nodes', message: 'has another number of nodes', expected }];
      }
      const known = nodes.map(({ clusterId, nodeId }) => `${clusterId}/${nodeId}`);
      return (output.nodes ?? []).flatMap((name, at) =>
        unknownName('node', `$.nodes[${at}]`, name, new Set(known)),
      );
    },
  },
};
