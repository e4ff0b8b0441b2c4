import type {
  ClusterSnapshot,
  GpuSnapshot,
  NodeMeasurement,
  NodeSnapshot,
} from '../../sdk/cluster.ts';
import type { NodeSpec } from '../../sdk/spec/cluster.ts';
import { deepFreeze } from '../policy/index.ts';
import type { PlacementLedger } from './ledger.ts';
import type { ClusterView } from './placement.ts';

interface Remembered {
  readonly spec: NodeSpec;
  readonly healthy: boolean;
  readonly measured: NodeMeasurement | undefined;
  readonly version: number;
  readonly snapshot: NodeSnapshot;
}

/** What policies see of clusters: frozen, and the same object while nothing about a node changed. */
export interface Snapshots {
  of(view: ClusterView): ClusterSnapshot;
}

export function createSnapshots(ledger: PlacementLedger): Snapshots {
  const clusters = new Map<string, Map<string, Remembered>>();

  function nodeSnapshot(view: ClusterView, spec: NodeSpec): Remembered {
    const account = ledger.account(view.spec.id, spec.id);
    const gpus = spec.gpus.map(
      ({ modelName, memoryBytes }, index): GpuSnapshot => ({
        index,
        modelName,
        totalMemoryBytes: memoryBytes,
        // Nothing measures devices yet: what is promised of them is all that is known.
        utilizationFraction: 0,
        ...account.device(index),
      }),
    );
    const measured = view.measured.get(spec.id);
    const healthy = view.healthyNodes.has(spec.id);
    const snapshot: NodeSnapshot = {
      id: spec.id,
      healthy,
      capacity: {
        memoryBytes: spec.memoryBytes,
        cpuCores: spec.cpuCores,
        gpus: spec.gpus.map(({ memoryBytes }, index) => ({ index, memoryBytes })),
      },
      free: account.free(),
      gpus,
      instances: account.instances,
      ...(measured ? { measured } : {}),
      tags: spec.tags,
      metadata: spec.metadata,
    };
    return { spec, healthy, measured, version: account.version, snapshot: deepFreeze(snapshot) };
  }

  return {
    of(view) {
      const { id, regionId, tags, metadata, reputation, status, nodes } = view.spec;
      const before = clusters.get(id);
      const now = new Map<string, Remembered>();
      for (const spec of nodes) {
        const known = before?.get(spec.id);
        const current =
          known?.spec === spec &&
          known.healthy === view.healthyNodes.has(spec.id) &&
          known.measured === view.measured.get(spec.id) &&
          known.version === ledger.account(id, spec.id).version;
        now.set(spec.id, current ? known : nodeSnapshot(view, spec));
      }
      clusters.set(id, now);
      return deepFreeze({
        id,
        regionId,
        tags,
        metadata,
        ...(reputation === undefined ? {} : { reputation }),
        ...(status === undefined ? {} : { status }),
        nodes: [...now.values()].map(({ snapshot }) => snapshot),
      });
    },
  };
}
