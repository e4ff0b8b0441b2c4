import type { Dag } from './dag.ts';
import { isBetweenGroups } from './fusion.ts';
import { fusedGroups } from './groups.ts';
import type { Cone } from './portable.ts';
import { expectedBytes, type TensorType } from './tensor-types.ts';

/** For a tensor that cannot be sent at all, such as a sequence: dearer than all that can. */
export const unsendableBytes = 2 ** 45;

/** The places where a graph can be cut: before a node, in the order of the nodes. */
export interface CutPlaces {
  /** Indices of the nodes that are needed and never computed twice, ascending. A cut lies before one of them. */
  readonly anchors: readonly number[];
  /** Per anchor: weight bytes of all anchors before it; one more for the sum. */
  readonly weightsBefore: readonly number[];
  /** Per anchor: bytes that a cut before it sends. */
  readonly trafficBytes: readonly number[];
  /** Per anchor, of a cut before it: 0 leaves every fused group whole, 1 cuts one of the default level, 2 one of `basic`. */
  readonly groups: readonly (0 | 1 | 2)[];
}

export function bytesOf(types: ReadonlyMap<string, TensorType>, tensor: string): number {
  const type = types.get(tensor);
  return type ? expectedBytes(type) : unsendableBytes;
}

/** Looks at every place between two nodes at once: a tensor costs at each from where it is made to where it is last read. */
export function findCutPlaces(
  dag: Dag,
  types: ReadonlyMap<string, TensorType>,
  portable: ReadonlyMap<number, Cone>,
): CutPlaces {
  const live = liveNodes(dag);
  const size = dag.nodes.length + 1;
  const sent = new Float64Array(size);
  const repeatable = new Float64Array(size);
  const carried = new Float64Array(size);
  const inside = new Float64Array(size);
  const broken = new Float64Array(size);
  const { lastOf } = fusedGroups(dag);
  /** Adds to the places after node `from`, up to the one before node `to`. */
  const span = (sums: Float64Array, from: number, to: number, amount: number) => {
    if (to <= from) return;
    sums[from + 1] = (sums[from + 1] ?? 0) + amount;
    if (to + 1 < size) sums[to + 1] = (sums[to + 1] ?? 0) - amount;
  };
  const outputs = new Set(dag.outputs.map(({ name }) => name));
  const lastReader = (tensor: string) =>
    outputs.has(tensor)
      ? dag.nodes.length - 1
      : Math.max(
          -1,
          ...(dag.consumers.get(tensor) ?? []).filter((index) => live.has(index)).slice(-1),
        );
  const furthest = new Map<string, number>();
  for (const index of live) {
    const cone = portable.get(index);
    for (const tensor of dag.nodes[index]?.ref.outputs ?? []) {
      const last = lastReader(tensor);
      const bytes = bytesOf(types, tensor);
      if (cone) {
        span(repeatable, index, last, bytes);
        for (const source of cone.sources) {
          furthest.set(source, Math.max(furthest.get(source) ?? 0, last));
        }
        continue;
      }
      span(sent, index, last, bytes);
      if (last > index && !isBetweenGroups(dag, tensor)) span(inside, index, last, 1);
      const end = lastOf.get(index) ?? index;
      if (end > index) span(broken, index, end, 1);
    }
  }
  for (const name of dag.inputs.keys()) {
    const direct = (dag.consumers.get(name) ?? []).filter(
      (index) => live.has(index) && !portable.has(index),
    );
    const last = outputs.has(name) ? dag.nodes.length - 1 : (direct.at(-1) ?? -1);
    span(sent, -1, last, bytesOf(types, name));
    span(carried, Math.max(-1, last), furthest.get(name) ?? -1, bytesOf(types, name));
  }
  for (const sums of [sent, repeatable, carried, inside, broken]) {
    for (let index = 1; index < size; index += 1) {
      sums[index] = (sums[index] ?? 0) + (sums[index - 1] ?? 0);
    }
  }
  const anchors = [...live].filter((index) => !portable.has(index));
  const at = (sums: Float64Array, index: number) => sums[index] ?? 0;
  return {
    anchors,
    weightsBefore: weightsBefore(dag, anchors),
    trafficBytes: anchors.map(
      (index) => at(sent, index) + Math.min(at(repeatable, index), at(carried, index)),
    ),
    groups: anchors.map((index) => (at(broken, index) > 0 ? 2 : at(inside, index) > 0 ? 1 : 0)),
  };
}

/** Indices of the nodes that an output needs, ascending. */
export function liveNodes(dag: Dag): ReadonlySet<number> {
  const live = new Uint8Array(dag.nodes.length);
  const reach = (tensor: string) => {
    const producer = dag.producers.get(tensor);
    if (producer !== undefined) live[producer] = 1;
  };
  for (const { name } of dag.outputs) reach(name);
  for (let index = dag.nodes.length - 1; index >= 0; index -= 1) {
    if (live[index]) for (const name of dag.nodes[index]?.reads ?? []) reach(name);
  }
  return new Set([...dag.nodes.keys()].filter((index) => live[index]));
}

/** An initializer counts where it is read first. */
function weightsBefore(dag: Dag, anchors: readonly number[]): number[] {
  const seen = new Set<string>();
  const sums = [0];
  for (const index of anchors) {
    let bytes = sums.at(-1) ?? 0;
    const node = dag.nodes[index];
    for (const { sizeBytes } of node?.ownWeights ?? []) bytes += sizeBytes;
    for (const name of node?.reads ?? []) {
      if (seen.has(name)) continue;
      seen.add(name);
      bytes += dag.initializers.get(name)?.sizeBytes ?? 0;
    }
    sums.push(bytes);
  }
  return sums;
}
