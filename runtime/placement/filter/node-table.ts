import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
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
  // Not slice: of a frozen list it takes a hundred times as long.
  const things: NodeSnapshot[] = [];
  const end = Math.min(nodes.length, from + runLength);
  for (let at = from; at < end; at += 1) things.push(nodes[at] as NodeSnapshot);
  const run = new NodeRun(things);
  if (run.things.every((node) => Object.isFrozen(node))) {
    Object.freeze(run);
    runsByFirst.set(first, run);
  }
  return run;
}

/** Of each run, and of all together. */
interface Kept {
  readonly ofRuns: readonly Stats[];
  readonly all: Stats;
}

type Keep<S> = Map<NumberReader<S>, Kept>;

function keep(ofRuns: readonly Stats[]): Kept {
  return { ofRuns, all: combineStats(ofRuns) };
}

/**
 * The nodes of a cluster as runs whose columns and sums outlive a snapshot: of the next one, only runs with a changed
 * node are read again. What is computed depends on the nodes alone, to the last bit, never on what was before.
 */
export class NodeTable {
  readonly runs: readonly NodeRun[];
  readonly #stats: Keep<NodeSnapshot> = new Map();
  readonly #deviceStats: Keep<GpuSnapshot> = new Map();

  constructor(runs: readonly NodeRun[]) {
    this.runs = runs;
  }

  stats(read: NumberReader<NodeSnapshot>): Stats {
    const known = this.#stats.get(read) ?? keep(this.runs.map((run) => run.stats(read)));
    this.#stats.set(read, known);
    return known.all;
  }

  deviceStats(read: NumberReader<GpuSnapshot>): Stats {
    const known =
      this.#deviceStats.get(read) ??
      keep(this.runs.map(({ devices }) => devices.batch.stats(read)));
    this.#deviceStats.set(read, known);
    return known.all;
  }

  /** The table of a list in which only some runs are others. */
  with(runs: readonly NodeRun[], changed: ReadonlySet<number>): NodeTable {
    const next = new NodeTable(runs);
    const carry = <S>(
      from: Keep<S>,
      to: Keep<S>,
      read: (run: NodeRun, by: NumberReader<S>) => Stats,
    ) => {
      for (const [by, { ofRuns }] of from) {
        const stats = [...ofRuns];
        for (const at of changed) stats[at] = read(runs[at] as NodeRun, by);
        to.set(by, keep(stats));
      }
    };
    carry(this.#stats, next.#stats, (run, by) => run.stats(by));
    carry(this.#deviceStats, next.#deviceStats, ({ devices }, by) => devices.batch.stats(by));
    return next;
  }
}

/** One table per list of nodes, for as long as the list lives; nodes that may change are read anew each time. */
const tables = new WeakMap<readonly NodeSnapshot[], NodeTable>();

export function tableOf(nodes: readonly NodeSnapshot[]): NodeTable {
  const known = tables.get(nodes);
  if (known) return known;
  const runs: NodeRun[] = [];
  for (let from = 0; from < nodes.length; from += runLength) {
    const first = nodes[from];
    if (first) runs.push(runAt(nodes, from, first));
  }
  const table = new NodeTable(runs);
  if (Object.isFrozen(nodes)) tables.set(nodes, table);
  return table;
}

/**
 * Makes the table of a frozen list from that of another, where it has one: only runs with a changed node are looked at.
 *
 * @param places - of the nodes that are others
 */
export function carryTable(
  before: readonly NodeSnapshot[],
  nodes: readonly NodeSnapshot[],
  places: Iterable<number>,
): void {
  const table = tables.get(before);
  if (!table || before.length !== nodes.length) return;
  const changed = new Set<number>();
  for (const place of places) changed.add(Math.floor(place / runLength));
  const runs = [...table.runs];
  for (const at of changed) {
    const first = nodes[at * runLength];
    if (first) runs[at] = runAt(nodes, at * runLength, first);
  }
  tables.set(nodes, table.with(runs, changed));
}
