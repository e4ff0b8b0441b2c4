import type { NodeMeasurement } from '../../../sdk/cluster.ts';
import type { ClusterSpec, NodeSpec } from '../../../sdk/spec/cluster.ts';
import {
  type ClusterBackend,
  type InstanceBoot,
  type InstanceEvent,
  type InstanceProcess,
  noteMark,
} from '../backend.ts';
import { createLoadCurve, type SimulatedLoad } from './load-curve.ts';

export interface SimulatedBackendOptions {
  /** Of the load curves. @default 1 */
  readonly seed?: number;
  /** How long an instance takes to be ready. @default 50 */
  readonly startDelayMs?: number;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
}

interface Simulated {
  readonly boot: Pick<InstanceBoot, 'instanceId' | 'tenant' | 'clusterId' | 'nodeId'>;
  readonly startedAtMs: number;
  readonly lines: string[];
  timer: NodeJS.Timeout | undefined;
}

const keptLines = 100;

/** Nobody listens there: port 0 is none. */
const process: InstanceProcess = {
  ...{ pid: 0, startTime: 'simulated', address: '127.0.0.1:0' },
  simulated: true,
};

/** A node's document may say how fast it decodes: `metadata.weightBytesPerSecond`. */
function declaredSpeed({ metadata }: NodeSpec): Partial<NodeMeasurement> {
  const { weightBytesPerSecond } = metadata;
  const isSpeed = typeof weightBytesPerSecond === 'number' && weightBytesPerSecond > 0;
  return isSpeed ? { weightBytesPerSecond, speedFrom: 'document' } : {};
}

/** What a machine under that load would report. */
export function measurement(
  node: NodeSpec,
  { cpuFraction, memoryFraction, gpuFraction }: SimulatedLoad,
  processes: number,
  atMs: number,
): NodeMeasurement {
  const load = cpuFraction * node.cpuCores;
  return {
    ...{ atMs, processes, load1m: load, load5m: load, load15m: load },
    memoryUsedBytes: Math.round(node.memoryBytes * memoryFraction),
    cpuUsedCores: load,
    machineId: node.id,
    ...declaredSpeed(node),
    gpus: node.gpus.map(({ memoryBytes, modelName }, index) => ({
      index,
      modelName,
      totalMemoryBytes: memoryBytes,
      // What others hold of a device is theirs: a policy that asks for free memory sees less than is declared.
      usedMemoryBytes: 0,
      freeMemoryBytes: memoryBytes,
      utilizationFraction: gpuFraction,
      temperatureCelsius: 35 + 45 * gpuFraction,
      powerWatts: 60 + 240 * gpuFraction,
    })),
  };
}

/**
 * Clusters that exist only as documents: nodes have load curves, instances become ready and take their places, and
 * nothing is started. For trying policies on networks nobody has. Instances answer no calls.
 */
export function createSimulatedBackend(options: SimulatedBackendOptions = {}): ClusterBackend {
  const { seed = 1, startDelayMs = 50, clock = Date.now } = options;
  const instances = new Map<string, Simulated>();
  const listeners = new Set<(event: InstanceEvent) => void>();
  const curves = new Map<string, (atMs: number) => SimulatedLoad>();

  const tell = (event: InstanceEvent): void => {
    for (const listener of [...listeners]) listener(event);
  };

  function curveOf(clusterId: string, nodeId: string): (atMs: number) => SimulatedLoad {
    const name = `${clusterId}/${nodeId}`;
    const curve = curves.get(name) ?? createLoadCurve(seed, name);
    curves.set(name, curve);
    return curve;
  }

  function end(instanceId: string): Simulated | undefined {
    const instance = instances.get(instanceId);
    clearTimeout(instance?.timer);
    instances.delete(instanceId);
    return instance;
  }

  return {
    name: 'simulated',
    runs: ['stage', 'graph', 'code', 'container'],
    async check() {
      // Any document is a network somebody may want to look at.
    },
    async measure(tenant: string, cluster: ClusterSpec) {
      const atMs = clock();
      const counts = new Map<string, number>();
      for (const { boot } of instances.values()) {
        if (boot.tenant !== tenant || boot.clusterId !== cluster.id) continue;
        counts.set(boot.nodeId, (counts.get(boot.nodeId) ?? 0) + 1);
      }
      return new Map(
        cluster.nodes.map((node) => {
          const load = curveOf(cluster.id, node.id)(atMs);
          return [node.id, measurement(node, load, counts.get(node.id) ?? 0, atMs)];
        }),
      );
    },
    async usage(instanceId) {
      if (!instances.has(instanceId)) return undefined;
      return { atMs: clock(), residentBytes: 0, peakResidentBytes: 0, cpuSeconds: 0 };
    },
    async start({ boot }) {
      const { instanceId } = boot;
      const line = `simulated on ${boot.nodeId}: takes its place and answers no calls`;
      const instance: Simulated = { boot, startedAtMs: clock(), lines: [line], timer: undefined };
      instances.set(instanceId, instance);
      instance.timer = setTimeout(() => {
        tell({ type: 'instance-ready', instanceId, process });
      }, startDelayMs).unref();
    },
    async stop(instanceId) {
      if (!end(instanceId)) return;
      const ended = { exitCode: 0, signal: null, lastLines: [] };
      tell({ type: 'instance-exited', instanceId, ...ended });
    },
    async adopt(known) {
      for (const { tenant, instanceId, clusterId, nodeId } of known) {
        const boot = { tenant, instanceId, clusterId, nodeId };
        instances.set(instanceId, { boot, startedAtMs: clock(), lines: [], timer: undefined });
      }
      return new Map(known.map(({ instanceId }) => [instanceId, process]));
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async *logs(instanceId, { tail }) {
      const lines = instances.get(instanceId)?.lines ?? [];
      yield* tail > 0 ? lines.slice(-tail) : [];
    },
    note(instanceId, line) {
      const lines = instances.get(instanceId)?.lines;
      lines?.push(noteMark + line);
      // Those that were there first say what it is.
      if (lines && lines.length > keptLines) lines.splice(1, 1);
    },
    async close() {
      for (const instanceId of [...instances.keys()]) end(instanceId);
      listeners.clear();
    },
  };
}
