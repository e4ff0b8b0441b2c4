import type { ShardCounters } from '../../sdk/client/api.ts';
import type { LinkMetrics } from '../../sdk/metrics.ts';
import type { BlockReading, InstanceReading } from './block-collector.ts';

/** Between drivers and a node, in `LinkMetrics.between`. */
export const driversEnd = 'drivers';

/** What running shards tell of the speed of their nodes and of the ways between them. */
export interface SpeedBook {
  take(readings: readonly BlockReading[]): void;
  /** Weights that decoding goes through a second; undefined before shards have decoded there. */
  node(tenant: string, clusterId: string, nodeId: string): number | undefined;
  /** Ways that have an end in the cluster. */
  links(tenant: string, clusterId: string): readonly LinkMetrics[];
  link(tenant: string, a: string, b: string): LinkMetrics['values'] | undefined;
  /** Of a batch of one-row steps, since the shard began to be watched. */
  stepMs(tenant: string, instanceId: string): number | undefined;
}

interface Pace {
  bytes: number;
  ms: number;
}
interface Watched {
  batches: number;
  ms: number;
  stepMs: number | undefined;
}

/** Of decoding: less tells nothing. */
const leastMs = 20;
/** Of decoding: what is older counts half. */
const halfLifeMs = 10_000;
const newestWeight = 1 / 4;
/** Ways and nodes that are remembered when nothing runs there any more. */
const maxRemembered = 10_000;

const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts);
/** `clusterId/nodeId`. */
export const placeOf = (at: { readonly clusterId: string; readonly nodeId: string }): string =>
  `${at.clusterId}/${at.nodeId}`;

export function createSpeedBook(): SpeedBook {
  const paces = new Map<string, Pace>();
  const links = new Map<string, LinkMetrics>();
  let watched = new Map<string, Watched>();

  function remember<T>(map: Map<string, T>, key: string, value: T): void {
    map.delete(key);
    map.set(key, value);
    const [oldest] = map.keys();
    if (map.size > maxRemembered && oldest !== undefined) map.delete(oldest);
  }

  function takePace(
    tenant: string,
    reading: InstanceReading,
    { decodeBatches, decodeMs, weightBytes }: ShardCounters,
  ): Watched {
    const before = watched.get(keyOf(tenant, reading.instanceId));
    // Counters of a process that began again count from 0.
    const again = !before || decodeBatches < before.batches || decodeMs < before.ms;
    const batches = decodeBatches - (again ? 0 : before.batches);
    const ms = decodeMs - (again ? 0 : before.ms);
    if (batches <= 0 || ms <= 0) {
      return { batches: decodeBatches, ms: decodeMs, stepMs: before?.stepMs };
    }
    if (weightBytes !== undefined) {
      const key = keyOf(tenant, placeOf(reading));
      const pace = paces.get(key) ?? { bytes: 0, ms: 0 };
      const kept = 0.5 ** (ms / halfLifeMs);
      pace.bytes = pace.bytes * kept + weightBytes * batches;
      pace.ms = pace.ms * kept + ms;
      remember(paces, key, pace);
    }
    const last = before?.stepMs ?? ms / batches;
    const stepMs = last + (ms / batches - last) * newestWeight;
    return { batches: decodeBatches, ms: decodeMs, stepMs };
  }

  function takeLinks(tenant: string, readings: readonly InstanceReading[]): void {
    const places = new Map(readings.map((one) => [one.instanceId, placeOf(one)]));
    const seen = new Map<
      string,
      { between: [string, string]; latencies: number[]; paces: number[] }
    >();
    for (const { instanceId, shard } of readings) {
      for (const { peerId, latencyMs, bytesPerSecond } of shard?.links ?? []) {
        const own = places.get(instanceId);
        const peer = peerId.startsWith('driver-') ? driversEnd : places.get(peerId);
        if (own === undefined || peer === undefined || own === peer) continue;
        const between: [string, string] = own < peer ? [own, peer] : [peer, own];
        const key = keyOf(tenant, ...between);
        const found = seen.get(key) ?? { between, latencies: [], paces: [] };
        seen.set(key, found);
        found.latencies.push(latencyMs);
        if (bytesPerSecond !== undefined) found.paces.push(1 / bytesPerSecond);
      }
    }
    for (const [key, { between, latencies, paces: perByte }] of seen) {
      const bytesPerSecond = perByte.length > 0 ? 1 / mean(perByte) : undefined;
      const known = bytesPerSecond ?? links.get(key)?.values.bytesPerSecond;
      const speed = known === undefined ? {} : { bytesPerSecond: known };
      remember(links, key, { between, values: { latencyMs: mean(latencies), ...speed } });
    }
  }

  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;

  return {
    take(blocks) {
      const next = new Map<string, Watched>();
      const tenants = new Map<string, InstanceReading[]>();
      for (const { tenant, instances } of blocks) {
        const own = tenants.get(tenant) ?? [];
        tenants.set(tenant, own);
        own.push(...instances);
        for (const one of instances) {
          if (!one.shard) continue;
          next.set(keyOf(tenant, one.instanceId), takePace(tenant, one, one.shard));
        }
      }
      watched = next;
      for (const [tenant, readings] of tenants) takeLinks(tenant, readings);
    },
    node(tenant, clusterId, nodeId) {
      const pace = paces.get(keyOf(tenant, placeOf({ clusterId, nodeId })));
      return pace && pace.ms >= leastMs ? (pace.bytes / pace.ms) * 1000 : undefined;
    },
    links(tenant, clusterId) {
      const prefix = `${clusterId}/`;
      return [...links]
        .filter(
          ([key, { between }]) =>
            key === keyOf(tenant, ...between) && between.some((end) => end.startsWith(prefix)),
        )
        .map(([, link]) => link)
        .sort((a, b) => (keyOf(...a.between) < keyOf(...b.between) ? -1 : 1));
    },
    link(tenant, a, b) {
      const between = a < b ? [a, b] : [b, a];
      return links.get(keyOf(tenant, ...between))?.values;
    },
    stepMs: (tenant, instanceId) => watched.get(keyOf(tenant, instanceId))?.stepMs,
  };
}
