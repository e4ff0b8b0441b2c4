import type { ShardCounters } from '../../sdk/client/api.ts';
import type { BlockMetrics, InstanceMetrics } from '../../sdk/metrics.ts';
import { meanOf } from './combine.ts';
import type { History } from './history.ts';
import { countersOf, type LoadValues, loadHistory, loadMetrics } from './load-metrics.ts';
import type { RequestTallies } from './requests.ts';

/** One instance, as whoever runs blocks sees it now. */
export interface InstanceReading {
  readonly instanceId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly ready: boolean;
  readonly promised: { readonly memoryBytes: number; readonly cpuCores: number };
  /** Indices on its node. */
  readonly gpus: readonly number[];
  readonly outstandingRequests: number;
  /** Requests that wait inside it, where it says so. */
  readonly queuedRequests?: number;
  /** Since its process began. */
  readonly cpuSeconds?: number;
  readonly residentBytes?: number;
  /** Of a shard of a model, as it last reported. */
  readonly shard?: ShardCounters;
}

export interface BlockReading {
  readonly tenant: string;
  readonly blockId: string;
  readonly clusterId?: string;
  readonly instances: readonly InstanceReading[];
}

/** Undefined where nothing measures the device. */
export type GpuUtilization = (
  tenant: string,
  clusterId: string,
  nodeId: string,
  index: number,
) => number | undefined;

interface InstanceEntry {
  reading: InstanceReading;
  readonly history: History;
  cpu: { readonly atMs: number; readonly seconds: number } | undefined;
}
interface BlockEntry {
  reading: BlockReading;
  atMs: number;
  readonly history: History;
  readonly instances: Map<string, InstanceEntry>;
}

export interface BlockCollector {
  take(readings: readonly BlockReading[], atMs: number): void;
  block(tenant: string, blockId: string): BlockMetrics | undefined;
  instance(tenant: string, blockId: string, instanceId: string): InstanceMetrics | undefined;
  /** Ids of one tenant's blocks. */
  blocks(tenant: string): readonly string[];
  readonly historyBytes: number;
}

export interface BlockCollectorOptions {
  readonly tallies: RequestTallies;
  readonly gpuUtilization: GpuUtilization;
  /** Readings kept of each block and instance. */
  readonly capacity: number;
  /** Between readings. */
  readonly intervalMs: number;
  readonly staleAfterMs: number;
}

const keyOf = (tenant: string, blockId: string): string => JSON.stringify([tenant, blockId]);
const known = (values: readonly (number | undefined)[]): number[] =>
  values.filter((value) => value !== undefined);
const sumOf = (values: readonly (number | undefined)[]): number | undefined => {
  const found = known(values);
  return found.length === 0 ? undefined : found.reduce((total, value) => total + value, 0);
};
const queuedOf = ({ queuedRequests, outstandingRequests }: InstanceReading): number =>
  queuedRequests ?? Math.max(0, outstandingRequests - 1);

/** Keeps the history of blocks and their instances for as long as they are there. */
export function createBlockCollector(options: BlockCollectorOptions): BlockCollector {
  const { tallies, gpuUtilization, capacity, intervalMs, staleAfterMs } = options;
  const entries = new Map<string, BlockEntry>();

  /** @returns cores used since the reading before; undefined at the first, and when its process is another */
  function coresOf(entry: InstanceEntry, { cpuSeconds }: InstanceReading, atMs: number) {
    const before = entry.cpu;
    entry.cpu = cpuSeconds === undefined ? undefined : { atMs, seconds: cpuSeconds };
    if (!before || cpuSeconds === undefined || cpuSeconds < before.seconds) return undefined;
    const seconds = (atMs - before.atMs) / 1000;
    return seconds > 0 ? (cpuSeconds - before.seconds) / seconds : undefined;
  }

  function takeInstance(
    { tenant, blockId }: BlockReading,
    entry: InstanceEntry,
    reading: InstanceReading,
    atMs: number,
  ): LoadValues {
    entry.reading = reading;
    const { clusterId, nodeId, promised } = reading;
    const cpuCores = coresOf(entry, reading, atMs);
    const values: LoadValues = {
      ...countersOf(tallies.instance(tenant, blockId, reading.instanceId)),
      ready: reading.ready ? 1 : 0,
      outstanding: reading.outstandingRequests,
      queued: queuedOf(reading),
      cpuCores,
      cpuFraction: cpuCores === undefined ? undefined : cpuCores / promised.cpuCores,
      memoryBytes: reading.residentBytes,
      gpuFraction: meanOf(
        reading.gpus.map((index) => gpuUtilization(tenant, clusterId, nodeId, index)),
      ),
    };
    entry.history.record(atMs, values);
    return values;
  }

  /** Over devices, each once: instances may share one. */
  function blockGpus({ tenant, instances }: BlockReading): number | undefined {
    const devices = new Map(
      instances.flatMap(({ clusterId, nodeId, gpus }) =>
        gpus.map((index) => [
          JSON.stringify([clusterId, nodeId, index]),
          gpuUtilization(tenant, clusterId, nodeId, index),
        ]),
      ),
    );
    return meanOf([...devices.values()]);
  }

  function takeBlock(reading: BlockReading, entry: BlockEntry, atMs: number): void {
    entry.reading = reading;
    entry.atMs = atMs;
    const ids = new Set(reading.instances.map(({ instanceId }) => instanceId));
    for (const id of entry.instances.keys()) if (!ids.has(id)) entry.instances.delete(id);
    const taken = reading.instances.map((one) => {
      const found = entry.instances.get(one.instanceId) ?? {
        ...{ reading: one, history: loadHistory(capacity, atMs - intervalMs), cpu: undefined },
      };
      entry.instances.set(one.instanceId, found);
      return { promised: one.promised, ...takeInstance(reading, found, one, atMs) };
    });
    const tally = tallies.block(reading.tenant, reading.blockId);
    const cpuCores = sumOf(taken.map((one) => one.cpuCores));
    const measured = taken.filter((one) => one.cpuCores !== undefined);
    const promisedCores = sumOf(measured.map(({ promised }) => promised.cpuCores));
    entry.history.record(atMs, {
      ...countersOf(tally),
      ready: sumOf(taken.map((one) => one.ready)) ?? 0,
      outstanding: sumOf(taken.map((one) => one.outstanding)) ?? 0,
      queued: tally.waiting + (sumOf(taken.map((one) => one.queued)) ?? 0),
      cpuCores,
      cpuFraction: cpuCores === undefined ? undefined : cpuCores / (promisedCores ?? 0),
      memoryBytes: sumOf(taken.map((one) => one.memoryBytes)),
      gpuFraction: blockGpus(reading),
    } satisfies LoadValues);
  }

  function instanceOf({ reading, atMs }: BlockEntry, entry: InstanceEntry): InstanceMetrics {
    const { tenant, blockId } = reading;
    const { instanceId, clusterId, nodeId, ready, promised, gpus, shard } = entry.reading;
    const tally = tallies.instance(tenant, blockId, instanceId);
    const { readyInstances: _, ...load } = loadMetrics(entry.history, tally, atMs);
    return {
      ...{ type: 'instance', id: instanceId, tenant, blockId, clusterId, nodeId },
      ...{ collectedAtMs: atMs, staleAfterMs, ready, promised, gpus },
      ...load,
      ...(shard ? { shard } : {}),
    };
  }

  return {
    take(readings, atMs) {
      const seen = new Set<string>();
      for (const reading of readings) {
        const key = keyOf(reading.tenant, reading.blockId);
        const entry = entries.get(key) ?? {
          ...{ reading, atMs, history: loadHistory(capacity, atMs - intervalMs) },
          instances: new Map<string, InstanceEntry>(),
        };
        entries.set(key, entry);
        seen.add(key);
        takeBlock(reading, entry, atMs);
      }
      for (const key of entries.keys()) if (!seen.has(key)) entries.delete(key);
      tallies.keep((tenant, blockId, instanceId) => {
        const entry = entries.get(keyOf(tenant, blockId));
        return instanceId === undefined ? entry !== undefined : !!entry?.instances.has(instanceId);
      });
    },
    block(tenant, blockId) {
      const entry = entries.get(keyOf(tenant, blockId));
      if (!entry) return undefined;
      const { reading, history, atMs } = entry;
      const instances = [...entry.instances.values()].map((one) => instanceOf(entry, one));
      return {
        ...{ type: 'block', id: blockId, tenant, collectedAtMs: atMs, staleAfterMs },
        ...(reading.clusterId === undefined ? {} : { clusterId: reading.clusterId }),
        ...loadMetrics(history, tallies.block(tenant, blockId), atMs),
        instances: instances.sort((a, b) => (a.id < b.id ? -1 : 1)),
      };
    },
    instance(tenant, blockId, instanceId) {
      const entry = entries.get(keyOf(tenant, blockId));
      const found = entry?.instances.get(instanceId);
      return entry && found && instanceOf(entry, found);
    },
    blocks: (tenant) =>
      [...entries.values()]
        .filter(({ reading }) => reading.tenant === tenant)
        .map(({ reading }) => reading.blockId)
        .sort(),
    get historyBytes() {
      let bytes = 0;
      for (const { history, instances } of entries.values()) {
        bytes += history.byteLength;
        for (const one of instances.values()) bytes += one.history.byteLength;
      }
      return bytes;
    },
  };
}
