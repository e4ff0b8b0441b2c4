import type { Problem } from '../../sdk/errors.ts';
import type { Assignment, HookAction, HookInput, HookName, HookOutput } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';

/** What a schema cannot say: that an answer names things which were in the question. */
type Meanings = {
  readonly [H in HookName]: {
    readonly [A in HookAction<H>]: (
      input: HookInput<H, A>,
      output: HookOutput<H, A>,
    ) => readonly Problem[];
  };
};

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

const idsOf = (things: readonly { readonly id: string }[]) => new Set(things.map(({ id }) => id));

type Placing = HookInput<'resourceAllocator'>;

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
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const known = new Set(byId.keys());
  return assignments.flatMap(({ nodeId, gpus }, at): readonly Problem[] => {
    const path = `$.assignments[${at}]`;
    const node = byId.get(nodeId);
    if (!node) return unknownName('node', `${path}.nodeId`, nodeId, known);
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
    dry_run: (input, { assignments, nodes }) => {
      const known = idsOf(input.cluster.nodes);
      return [
        ...(assignments.length > 0 ? assignmentProblems(input, assignments) : []),
        ...nodes.flatMap(({ nodeId }, at) =>
          unknownName('node', `$.nodes[${at}].nodeId`, nodeId, known),
        ),
      ];
    },
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
  loadBalancer: {
    load_balance: ({ instances }, { instanceId }) =>
      unknownName('instance', '$.instanceId', instanceId, idsOf(instances)),
  },
  splitPlanner: {
    plan: ({ model, shards }, output) => {
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
      return shards !== undefined && shards !== firstLayers.length
        ? [{ path, message: 'has another number of shards', expected: String(shards), seen }]
        : [];
    },
  },
};
