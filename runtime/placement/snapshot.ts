import type { Amounts, ClusterSnapshot, GpuSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import type { NodeSpec } from '../../sdk/spec/cluster.ts';
import { carryRuns, deepFreeze, freezeList } from '../policy/index.ts';
import type { ClusterAccount } from './cluster-account.ts';
import { carryTable } from './filter/index.ts';
import type { PlacementLedger } from './ledger.ts';
import type { NodeAccount } from './node-account.ts';
import type { ClusterView } from './placement.ts';

interface Remembered {
  readonly view: ClusterView;
  /** Of the account, when the snapshot was taken. */
  readonly revision: number;
  readonly snapshot: ClusterSnapshot;
  /** Node id → its place in the view and in the snapshot. */
  readonly places: ReadonlyMap<string, number>;
}

/** What policies see of clusters: frozen, and the same object while nothing about a node or a cluster changed. */
export interface Snapshots {
  of(view: ClusterView): ClusterSnapshot;
}

/** Of a node in which one device changed, the others stay the same objects: what is derived from them stays too. */
function same(a: GpuSnapshot | undefined, b: GpuSnapshot): boolean {
  return (
    a !== undefined &&
    a.freeMemoryBytes === b.freeMemoryBytes &&
    a.sharedBy === b.sharedBy &&
    a.exclusive === b.exclusive &&
    a.utilizationFraction === b.utilizationFraction &&
    a.temperatureCelsius === b.temperatureCelsius &&
    a.powerWatts === b.powerWatts &&
    a.totalMemoryBytes === b.totalMemoryBytes &&
    a.modelName === b.modelName &&
    a.index === b.index
  );
}

const capacities = new WeakMap<NodeSpec, Amounts>();

function capacityOf(spec: NodeSpec): Amounts {
  const known = capacities.get(spec);
  if (known) return known;
  const capacity = deepFreeze({
    memoryBytes: spec.memoryBytes,
    cpuCores: spec.cpuCores,
    gpus: spec.gpus.map(({ memoryBytes }, index) => ({ index, memoryBytes })),
  });
  capacities.set(spec, capacity);
  return capacity;
}

/** @param before - the snapshot that this one takes the place of */
export function nodeSnapshot(
  view: ClusterView,
  spec: NodeSpec,
  account: NodeAccount,
  before?: NodeSnapshot,
): NodeSnapshot {
  const measured = view.measured.get(spec.id);
  const gpus = spec.gpus.map(({ modelName, memoryBytes }, index): GpuSnapshot => {
    const device = account.device(index);
    const reading = measured?.gpus?.find((gpu) => gpu.index === index);
    const { utilizationFraction = 0, temperatureCelsius, powerWatts } = reading ?? {};
    const gpu = {
      index,
      modelName,
      totalMemoryBytes: memoryBytes,
      ...device,
      // What others use is nobody's promise, and what is promised need not be used yet: the smaller one is sure.
      freeMemoryBytes: Math.min(device.freeMemoryBytes, reading?.freeMemoryBytes ?? memoryBytes),
      utilizationFraction,
      ...(temperatureCelsius === undefined ? {} : { temperatureCelsius }),
      ...(powerWatts === undefined ? {} : { powerWatts }),
    };
    const old = before?.gpus[index];
    return old && same(old, gpu) ? old : gpu;
  });
  const free = account.free();
  return deepFreeze({
    id: spec.id,
    healthy: view.healthyNodes.has(spec.id),
    capacity: capacityOf(spec),
    free: {
      ...free,
      gpus: free.gpus.map((gpu, index) => {
        const old = before?.free.gpus[index];
        return old?.memoryBytes === gpu.memoryBytes ? old : gpu;
      }),
    },
    gpus,
    instances: account.instances,
    ...(measured ? { measured } : {}),
    ...(spec.taints ? { taints: spec.taints } : {}),
    tags: spec.tags,
    metadata: spec.metadata,
  });
}

function clusterSnapshot(view: ClusterView, nodes: NodeSnapshot[]): ClusterSnapshot {
  const { id, regionId, tags, metadata, reputation, status } = view.spec;
  return deepFreeze({
    id,
    regionId,
    tags,
    metadata,
    ...(reputation === undefined ? {} : { reputation }),
    ...(status === undefined ? {} : { status }),
    nodes: freezeList(nodes),
  });
}

const sameView = (a: ClusterView, b: ClusterView): boolean =>
  a.spec === b.spec && a.healthyNodes === b.healthyNodes && a.measured === b.measured;

/** The snapshot of before with the changed nodes taken anew: of a thousand nodes, a placement changes one. */
function patched(
  before: Remembered,
  view: ClusterView,
  account: ClusterAccount,
  changed: ReadonlySet<string>,
): ClusterSnapshot {
  if (changed.size === 0) return before.snapshot;
  // Not slice: of a frozen list it takes a hundred times as long.
  const nodes = [...before.snapshot.nodes];
  const places: number[] = [];
  for (const id of changed) {
    const place = before.places.get(id);
    const spec = place === undefined ? undefined : view.spec.nodes[place];
    if (place === undefined || !spec) continue;
    nodes[place] = nodeSnapshot(view, spec, account.node(id), nodes[place]);
    places.push(place);
  }
  const snapshot = clusterSnapshot(view, nodes);
  carryTable(before.snapshot.nodes, snapshot.nodes, places);
  carryRuns(before.snapshot.nodes, snapshot.nodes, places);
  return snapshot;
}

/** The view changed: every node is looked at, and those about which nothing changed stay the same objects. */
function rebuilt(
  before: Remembered | undefined,
  view: ClusterView,
  account: ClusterAccount,
  changed: ReadonlySet<string> | undefined,
): ClusterSnapshot {
  const nodes = view.spec.nodes.map((spec): NodeSnapshot => {
    const { id } = spec;
    const place = before?.places.get(id);
    const known = place === undefined ? undefined : before?.snapshot.nodes[place];
    const unchanged =
      known &&
      place !== undefined &&
      changed?.has(id) === false &&
      before?.view.spec.nodes[place] === spec &&
      known.healthy === view.healthyNodes.has(id) &&
      known.measured === view.measured.get(id);
    return unchanged ? known : nodeSnapshot(view, spec, account.node(id), known);
  });
  return clusterSnapshot(view, nodes);
}

export function createSnapshots(ledger: PlacementLedger): Snapshots {
  /** By account: what the ledger forgets is forgotten here too. */
  const clusters = new WeakMap<ClusterAccount, Remembered>();
  return {
    of(view) {
      const { spec } = view;
      const account = ledger.cluster(spec.id);
      const { revision } = account;
      const before = clusters.get(account);
      const journal = before && account.changedSince(before.revision);
      const changed = journal && new Set(journal);
      const patches = before && changed && sameView(before.view, view);
      const snapshot = patches
        ? patched(before, view, account, changed)
        : rebuilt(before, view, account, changed);
      const places = patches ? before.places : new Map(spec.nodes.map(({ id }, at) => [id, at]));
      clusters.set(account, { view, revision, snapshot, places });
      return snapshot;
    },
  };
}
