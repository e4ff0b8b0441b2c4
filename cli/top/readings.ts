import type {
  InstanceStatus,
  ModelServing,
  ShardCounters,
  SystemStatus,
  VdagStatus,
} from '../../sdk/client/api.ts';

/** A vDAG now. What is per second, or an average, is of the time between two readings. */
export interface TopVdag {
  readonly uri: string;
  readonly ready: boolean;
  readonly openSessions?: number;
  readonly slots?: number;
  readonly waiting?: number;
  readonly tokensPerSecond?: number;
  readonly promptTokensPerSecond?: number;
  readonly busyPerSecond?: number;
  /** Of the answers that began between the readings; else of all. */
  readonly timeToFirstTokenMs?: number;
}

/** An instance that hosts a shard. */
export interface TopShard {
  readonly instanceId: string;
  readonly blockId: string;
  readonly nodeId: string;
  readonly state: string;
  readonly openSessions: number;
  readonly slots: number;
  readonly kvTokens: number;
  readonly kvCapacityTokens: number;
  readonly queuedSteps: number;
  readonly lastBatchSteps: number;
  readonly meanBatchSteps?: number;
  /** Part of the time in which it computed, 0 to 1. */
  readonly computeFraction?: number;
  readonly waitPerStepMs?: number;
  readonly bytesInPerSecond?: number;
  readonly bytesOutPerSecond?: number;
  readonly residentBytes?: number;
}

export interface TopView {
  readonly atMs: number;
  readonly vdags: readonly TopVdag[];
  readonly shards: readonly TopShard[];
}

interface Served {
  readonly serving: ModelServing;
  readonly atMs: number;
}
/** The two newest that differ: a shard counts once a second, whoever asks how often. */
interface Pair<T> {
  readonly before?: T;
  readonly now: T;
}

export interface TopReadings {
  /** @param atMs - when it was read, Unix milliseconds */
  take(status: SystemStatus, atMs: number): TopView;
}

/** Leaves out what is not known. */
function known<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

const perSecond = (grown: number, ms: number): number | undefined =>
  ms > 0 && grown >= 0 ? (grown * 1000) / ms : undefined;
const quotient = (sum: number, count: number): number | undefined =>
  count > 0 && sum >= 0 ? sum / count : undefined;

function vdagOf({ spec, ready }: VdagStatus, pair: Pair<Served> | undefined): TopVdag {
  const base = { uri: spec.uri, ready };
  if (!pair) return base;
  const { serving, atMs } = pair.now;
  const { openSessions, slots, waiting } = serving;
  const before = pair.before ?? pair.now;
  const ms = atMs - before.atMs;
  const grown = (name: 'tokensTotal' | 'promptTokensTotal' | 'busyTotal') =>
    perSecond(serving[name] - before.serving[name], ms);
  const firsts = serving.firstTokensTotal - before.serving.firstTokensTotal;
  const waited = serving.timeToFirstTokenMsTotal - before.serving.timeToFirstTokenMsTotal;
  return known({
    ...{ ...base, openSessions, slots, waiting },
    tokensPerSecond: grown('tokensTotal'),
    promptTokensPerSecond: grown('promptTokensTotal'),
    busyPerSecond: grown('busyTotal'),
    timeToFirstTokenMs:
      quotient(waited, firsts) ??
      quotient(serving.timeToFirstTokenMsTotal, serving.firstTokensTotal),
  }) as TopVdag;
}

function shardOf(
  { id, blockId, nodeId, state, residentBytes }: InstanceStatus,
  { before, now }: Pair<ShardCounters>,
): TopShard {
  const since = before ?? now;
  const ms = now.countedAtMs - since.countedAtMs;
  const steps = now.steps - since.steps;
  const computed = perSecond(now.computeMs - since.computeMs, ms);
  return known({
    ...{ instanceId: id, blockId, nodeId, state, residentBytes },
    ...{ openSessions: now.openSessions, slots: now.maxSessions },
    ...{ kvTokens: now.kvTokens, kvCapacityTokens: now.kvCapacityTokens },
    ...{ queuedSteps: now.queuedSteps, lastBatchSteps: now.lastBatchSteps },
    meanBatchSteps: quotient(
      now.decodeSteps - since.decodeSteps,
      now.decodeBatches - since.decodeBatches,
    ),
    computeFraction: computed === undefined ? undefined : Math.min(1, computed / 1000),
    waitPerStepMs: quotient(now.waitMs - since.waitMs, steps),
    bytesInPerSecond: perSecond(now.bytesIn - since.bytesIn, ms),
    bytesOutPerSecond: perSecond(now.bytesOut - since.bytesOut, ms),
  }) as TopShard;
}

/** Remembers each reading, so that the next one says how fast things go. */
export function createTopReadings(): TopReadings {
  let shards = new Map<string, Pair<ShardCounters>>();
  let served = new Map<string, Pair<Served>>();

  function nextPair<T>(last: Pair<T> | undefined, now: T, isNewer: (before: T) => boolean) {
    if (!last) return { now };
    return isNewer(last.now) ? { before: last.now, now } : last;
  }

  return {
    take({ blocks, vdags }, atMs) {
      const instances = blocks.flatMap((block) => block.instances);
      const nextShards: typeof shards = new Map();
      for (const { id, counters } of instances) {
        if (!counters) continue;
        const pair = nextPair(shards.get(id), counters, ({ countedAtMs, steps }) => {
          return counters.countedAtMs !== countedAtMs || counters.steps < steps;
        });
        nextShards.set(id, pair);
      }
      shards = nextShards;
      const nextServed: typeof served = new Map();
      for (const { spec, serving } of vdags) {
        if (!serving) continue;
        nextServed.set(
          spec.uri,
          nextPair(served.get(spec.uri), { serving, atMs }, () => true),
        );
      }
      served = nextServed;
      return {
        atMs,
        vdags: vdags.map((vdag) => vdagOf(vdag, served.get(vdag.spec.uri))),
        shards: instances.flatMap((instance) => {
          const pair = shards.get(instance.id);
          return pair ? [shardOf(instance, pair)] : [];
        }),
      };
    },
  };
}
