import type { RoutedInstance } from '../control-plane.ts';
import { median } from './usual-time.ts';

export interface ReplicaSpeedOptions {
  /** As many times as long as the others of its block, and a replica is slow. @default 3 */
  readonly factor?: number;
  /** It is not slow for less than this, however quick the others are. @default 10 */
  readonly minMs?: number;
  /** What is older says nothing any more: a slow replica is tried again after this. @default 30000 */
  readonly keepMs?: number;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

/** How quick the instances of a block are against each other, from the steps of sessions that go through them. */
export interface ReplicaSpeeds {
  /**
   * A step of one token came back.
   *
   * @param timings - nanoseconds: compute, then waiting, of each shard in order
   * @param roundTripMs - from the driver to the driver
   */
  stepped(shards: readonly RoutedInstance[], timings: readonly number[], roundTripMs: number): void;
  /** Instances that take several times as long as their siblings. Never all of them. */
  slow(blockId: string): ReadonlySet<string>;
}

/** Fewer tell nothing. */
const minSamples = 12;
const windowSize = 64;
/** Blocks that nobody asked for longest are forgotten. */
const maxBlocks = 1024;

interface Window {
  readonly stepMs: number[];
  count: number;
  lastAtMs: number;
}

export function createReplicaSpeeds(options: ReplicaSpeedOptions = {}): ReplicaSpeeds {
  const { factor = 3, minMs = 10, keepMs = 30_000, now = () => performance.now() } = options;
  const blocks = new Map<string, Map<string, Window>>();
  const none: ReadonlySet<string> = new Set();

  function windowOf({ blockId, instanceId }: RoutedInstance, atMs: number): Window {
    let instances = blocks.get(blockId);
    if (!instances) {
      instances = new Map();
      blocks.set(blockId, instances);
      const [oldest] = blocks.keys();
      if (blocks.size > maxBlocks && oldest !== undefined) blocks.delete(oldest);
    }
    let window = instances.get(instanceId);
    if (!window || atMs - window.lastAtMs > keepMs) {
      window = { stepMs: [], count: 0, lastAtMs: atMs };
      instances.set(instanceId, window);
    }
    return window;
  }

  return {
    stepped(shards, timings, roundTripMs) {
      const atMs = now();
      const inShards = timings.reduce((sum, ns) => sum + ns, 0) / 1e6;
      const between = Math.max(0, roundTripMs - inShards);
      for (const [index, shard] of shards.entries()) {
        const window = windowOf(shard, atMs);
        // The way there and back counts for every shard: a slow link is that of the one that is slow in every chain.
        const own = ((timings[index * 2] ?? 0) + (timings[index * 2 + 1] ?? 0)) / 1e6;
        window.stepMs[window.count % windowSize] = own + between;
        window.count += 1;
        window.lastAtMs = atMs;
      }
    },
    slow(blockId) {
      const instances = blocks.get(blockId);
      if (!instances || instances.size < 2) return none;
      const atMs = now();
      for (const [id, { lastAtMs }] of instances) {
        if (atMs - lastAtMs > keepMs) instances.delete(id);
      }
      const usual = [...instances].flatMap(([id, { stepMs, count }]) =>
        count < minSamples ? [] : [{ id, ms: median(stepMs) ?? 0 }],
      );
      const slow = usual.filter(({ id, ms }) => {
        const others = median(usual.flatMap((one) => (one.id === id ? [] : [one.ms])));
        return others !== undefined && ms > Math.max(factor * others, others + minMs);
      });
      return new Set(slow.map(({ id }) => id));
    },
  };
}
