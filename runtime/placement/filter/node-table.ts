import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { memoFrozen } from '../../../sdk/memo.ts';
import { Batch, combineStats } from './batch.ts';
import type { NumberReader, Stats } from './subject.ts';

/** Small, so that a changed node costs little; large, so that thousands of nodes are few runs. */
const runLength = 32;

/** Neighbouring nodes of a cluster with their devices. Frozen, and the same object, while none of its nodes changes. */
export class NodeRun extends Batch<NodeSnapshot> {
  #devices: { readonly batch: Batch<GpuSnapshot>; readonly offsets: Int32Array } | undefined;

  /** The devices of all its nodes in order; those of node `i` stand from `offsets[i]` to before `offsets[i + 1]`. */
  get devices() {
    if (this.#devices) return this.#devices;
    const offsets = new Int32Array(this.things.length + 1);
    for (const [at, { gpus }] of this.things.entries()) {
      offsets[at + 1] = (offsets[at] ?? 0) + gpus.length;
    }
    const devices: GpuSnapshot[] = [];
    for (const { gpus } of this.things) for (const gpu of gpus) devices.push(gpu);
    const batch = new Batch(devices);
    this.#devices = { batch, offsets };
    return this.#devices;
  }
}

const runsByFirst = new WeakMap<NodeSnapshot, NodeRun>();

function holds({ things }: NodeRun, nodes: readonly NodeSnapshot[], from: number): boolean {
  if (things.length !== Math.min(runLength, nodes.length - from)) return false;
  for (let at = 0; at < things.length; at += 1) if (things[at] !== nodes[from + at]) return false;
  return true;
}

function runAt(nodes: readonly NodeSnapshot[], from: number, first: NodeSnapshot): NodeRun {
  const known = runsByFirst.get(first);
  if (known && holds(known, nodes, from)) return known;
  const run = new NodeRun(nodes.slice(from, from + runLength));
  if (run.things.every((node) => Object.isFrozen(node))) {
    Object.freeze(run);
    runsByFirst.set(first, run);
  }
  return run;
}

/**
 * The nodes of a cluster as runs whose columns and sums outlive a snapshot: of the next one, only runs with a changed
 * node are read again. What is computed depends on the nodes alone, to the last bit, never on what was before.
 */
export class NodeTable {
  readonly runs: readonly NodeRun[];
  readonly #stats = new Map<NumberReader<NodeSnapshot>, Stats>();
  readonly #deviceStats = new Map<NumberReader<GpuSnapshot>, Stats>();

  constructor(nodes: readonly NodeSnapshot[]) {
    const runs: NodeRun[] = [];
    for (let from = 0; from < nodes.length; from += runLength) {
      const first = nodes[from];
      if (first) runs.push(runAt(nodes, from, first));
    }
    this.runs = runs;
  }

  stats(read: NumberReader<NodeSnapshot>): Stats {
    const known = this.#stats.get(read);
    if (known) return known;
    const stats = combineStats(this.runs.map((run) => run.stats(read)));
    this.#stats.set(read, stats);
    return stats;
  }

  deviceStats(read: NumberReader<GpuSnapshot>): Stats {
    const known = this.#deviceStats.get(read);
    if (known) return known;
    const stats = combineStats(this.runs.map(({ devices }) => devices.batch.stats(read)));
    this.#deviceStats.set(read, stats);
    return stats;
  }
}

/** One table per list of nodes, for as long as the list lives; nodes that may change are read anew each time. */
export const tableOf = memoFrozen(
  (nodes: readonly NodeSnapshot[]): NodeTable => new NodeTable(nodes),
);
