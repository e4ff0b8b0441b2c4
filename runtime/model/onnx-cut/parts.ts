import type { Dag } from './dag.ts';
import type { GraphPart } from './encode-shard.ts';
import { bytesOf } from './frontiers.ts';
import type { Homes } from './homes.ts';
import type { Cone } from './portable.ts';
import type { TensorType } from './tensor-types.ts';

/** A part of a graph, and what goes by it. */
export interface ShardPart extends GraphPart {
  /** Tensors that come in and go out unchanged, for parts further on. */
  readonly passes: readonly string[];
  /** Nodes that an earlier part has too, or could have: they are computed here instead of sent. */
  readonly duplicates: readonly number[];
}

/** Carried without asking whether it is worth it: what is computed where it is used is fused there too. */
const smallBytes = 16 * 2 ** 10;

interface Demand {
  readonly nodes: readonly Set<number>[];
  readonly inputs: readonly Set<string>[];
  readonly duplicates: readonly Set<number>[];
}

/** Shares a graph out: what each part computes, takes and gives. Tensors needed further on are handed through. */
export function createParts(
  dag: Dag,
  { homes, count }: { readonly homes: Homes; readonly count: number },
  types: ReadonlyMap<string, TensorType>,
  portable: ReadonlyMap<number, Cone>,
): readonly ShardPart[] {
  const plain = demandOf(dag, homes, count, new Map());
  const repeated = chooseRepeated(dag, homes, plain, types, portable);
  return partsOf(dag, homes, count, demandOf(dag, homes, count, repeated));
}

/** Follows what is read back from the outputs. @param repeated - nodes that are computed wherever they are needed */
function demandOf(
  dag: Dag,
  homes: Homes,
  count: number,
  repeated: ReadonlyMap<number, Cone>,
): Demand {
  const sets = <T>() => Array.from({ length: count }, () => new Set<T>());
  const demand = { nodes: sets<number>(), inputs: sets<string>(), duplicates: sets<number>() };
  const open: { readonly part: number; readonly index: number }[] = [];
  const need = (part: number, index: number) => {
    if (demand.nodes[part]?.has(index)) return;
    demand.nodes[part]?.add(index);
    open.push({ part, index });
  };
  for (const { name } of dag.outputs) {
    const index = dag.producers.get(name);
    if (index !== undefined) need(homes[index] ?? 0, index);
  }
  for (let next = open.pop(); next; next = open.pop()) {
    const { part, index } = next;
    for (const name of dag.nodes[index]?.reads ?? []) {
      if (dag.initializers.has(name)) continue;
      const producer = dag.producers.get(name);
      const home = producer === undefined ? 0 : (homes[producer] ?? 0);
      if (producer === undefined) demand.inputs[part]?.add(name);
      else if (home === part) need(part, producer);
      else if (repeated.has(producer)) {
        demand.duplicates[part]?.add(producer);
        need(part, producer);
      } else {
        demand.inputs[part]?.add(name);
        need(home, producer);
      }
    }
  }
  return demand;
}

/** Which cheap nodes are computed again: where carrying the model's inputs that far costs less than sending what they give. */
function chooseRepeated(
  dag: Dag,
  homes: Homes,
  { inputs }: Demand,
  types: ReadonlyMap<string, TensorType>,
  portable: ReadonlyMap<number, Cone>,
): ReadonlyMap<number, Cone> {
  const reach = new Map<string, number>();
  for (const [part, names] of inputs.entries()) for (const name of names) reach.set(name, part);
  interface Group {
    readonly cones: Cone[];
    readonly sources: ReadonlySet<string>;
    sentBytes: number;
    last: number;
  }
  const groups = new Map<string, Group>();
  for (const [name, last] of reach) {
    const producer = dag.producers.get(name) ?? -1;
    const cone = portable.get(producer);
    if (!cone) continue;
    const key = JSON.stringify([...cone.sources].sort());
    const group = groups.get(key) ?? { cones: [], sources: cone.sources, sentBytes: 0, last: 0 };
    group.cones.push(cone);
    group.sentBytes += bytesOf(types, name) * (last - (homes[producer] ?? 0));
    group.last = Math.max(group.last, last);
    groups.set(key, group);
  }
  const repeated = new Map<number, Cone>();
  const waiting = new Set([...groups.values()].sort((a, b) => a.sources.size - b.sources.size));
  for (let changed = true; changed; ) {
    changed = false;
    for (const group of waiting) {
      const { sources, sentBytes, last, cones } = group;
      const further = (name: string) => Math.max(0, last - (reach.get(name) ?? 0));
      const carriedBytes = [...sources].reduce(
        (sum, name) => sum + bytesOf(types, name) * further(name),
        0,
      );
      if (carriedBytes >= sentBytes && carriedBytes > smallBytes) continue;
      for (const name of sources) reach.set(name, Math.max(last, reach.get(name) ?? 0));
      for (const { nodes } of cones) {
        for (const index of nodes) {
          const cone = portable.get(index);
          if (cone) repeated.set(index, cone);
        }
      }
      waiting.delete(group);
      changed = true;
    }
  }
  return repeated;
}

function partsOf(dag: Dag, homes: Homes, count: number, demand: Demand): readonly ShardPart[] {
  const outputNames = dag.outputs.map(({ name }) => name);
  // Where each tensor is needed last; what the caller gets, past the last part.
  const last = new Map<string, number>();
  for (const [part, names] of demand.inputs.entries())
    for (const name of names) last.set(name, part);
  for (const name of outputNames) last.set(name, count);
  return demand.nodes.map((nodes, part) => {
    const isOwn = (name: string) => {
      const index = dag.producers.get(name);
      return index === undefined
        ? part === count - 1 && dag.initializers.has(name)
        : homes[index] === part;
    };
    const sorted = [...nodes].sort((a, b) => a - b);
    const isWanted = (name: string) => (last.get(name) ?? -1) > part;
    const made = sorted.flatMap((index) => dag.nodes[index]?.ref.outputs ?? []);
    const outputs =
      part === count - 1
        ? outputNames.filter(isOwn)
        : made.filter((name) => isOwn(name) && isWanted(name));
    const passes = [...last.keys()].filter(
      (name) =>
        isWanted(name) &&
        !isOwn(name) &&
        !dag.initializers.has(name) &&
        startsBefore(dag, homes, name, part),
    );
    return {
      nodes: sorted,
      inputs: [...(demand.inputs[part] ?? [])],
      outputs,
      passes,
      duplicates: [...(demand.duplicates[part] ?? [])].sort((a, b) => a - b),
    };
  });
}

/** Whether the tensor is there when the part begins. */
function startsBefore(dag: Dag, homes: Homes, name: string, part: number): boolean {
  const index = dag.producers.get(name);
  return index === undefined || (homes[index] ?? 0) < part;
}
