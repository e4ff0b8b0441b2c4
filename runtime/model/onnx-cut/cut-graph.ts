import { SplitError } from '../../../sdk/errors.ts';
import { chooseCuts } from './choose-cuts.ts';
import type { Dag } from './dag.ts';
import { initializersOf } from './encode-shard.ts';
import { bytesOf, findCutPlaces } from './frontiers.ts';
import { isBetweenGroups } from './fusion.ts';
import { homesByOrder, homesByTensors } from './homes.ts';
import { createParts, type ShardPart } from './parts.ts';
import { portableNodes } from './portable.ts';
import type { TensorType } from './tensor-types.ts';

/** `exact`: the same bits at every optimisation level; else at level `basic`, and nearly so at others. */
export type CutKind = 'exact' | 'within 1e-5';

/** What crosses between two parts. */
export interface Frontier {
  readonly tensors: readonly string[];
  /** Expected; unknown sizes are assumed. */
  readonly trafficBytes: number;
  readonly kind: CutKind;
}

export interface CutGraph {
  readonly parts: readonly (ShardPart & { readonly weightBytes: number })[];
  /** One less than parts. */
  readonly frontiers: readonly Frontier[];
}

export type CutRequest =
  | { readonly count: number }
  /** A cut a name. */
  | { readonly tensors: readonly string[] }
  /** Indices of the first node of each part but the first. */
  | { readonly starts: readonly number[] };

/**
 * Cuts a graph: into as many parts as asked, where the named tensors are made, or before the given nodes.
 *
 * @throws {SplitError} SPLIT_INFEASIBLE - fewer nodes than parts; REQUEST_INVALID - no cut at such a tensor
 */
export function cutGraph(
  dag: Dag,
  types: ReadonlyMap<string, TensorType>,
  request: CutRequest,
): CutGraph {
  const sent = new Set('tensors' in request ? request.tensors : []);
  let portable = portableNodes(dag, types, sent);
  let places = findCutPlaces(dag, types, portable);
  if ('count' in request && places.anchors.length < request.count) {
    // A graph of cheap nodes alone: then they are what is shared out.
    portable = new Map();
    places = findCutPlaces(dag, types, portable);
  }
  const homes =
    'tensors' in request
      ? homesByTensors(dag, request.tensors)
      : homesByOrder(dag, 'starts' in request ? request.starts : chooseCuts(places, request.count));
  const cuts = 'tensors' in request ? request.tensors : 'starts' in request ? request.starts : [];
  const count = 'count' in request ? request.count : cuts.length + 1;
  const parts = createParts(dag, { homes, count }, types, portable);
  assertNoneEmpty(parts);
  return {
    parts: parts.map((part) => ({ ...part, weightBytes: weightBytes(dag, part) })),
    frontiers: parts.slice(0, -1).map(({ outputs, passes }) => {
      const tensors = [...outputs, ...passes];
      return {
        tensors,
        trafficBytes: tensors.reduce((sum, name) => sum + bytesOf(types, name), 0),
        kind: tensors.every((name) => isBetweenGroups(dag, name)) ? 'exact' : 'within 1e-5',
      };
    }),
  };
}

/** @throws {SplitError} REQUEST_INVALID */
function assertNoneEmpty(parts: readonly ShardPart[]): void {
  const empty = parts.findIndex(({ nodes }) => nodes.length === 0);
  if (empty === -1) return;
  throw new SplitError(
    'REQUEST_INVALID',
    `with these cuts, shard ${empty} would compute nothing. Name tensors that lie between the inputs and the outputs.`,
  );
}

/** Of the initializers that a part reads, and of the weights inside its nodes. */
function weightBytes(dag: Dag, part: ShardPart): number {
  const initializers = initializersOf(dag, part).map((name) => dag.initializers.get(name));
  const own = part.nodes.flatMap((index) => dag.nodes[index]?.ownWeights ?? []);
  return [...initializers, ...own].reduce((sum, tensor) => sum + (tensor?.sizeBytes ?? 0), 0);
}
