import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import type {
  BlockMetrics,
  ClusterMetrics,
  InstanceMetrics,
  MetricWindow,
  NodeMetrics,
  VdagMetrics,
} from '../../sdk/metrics.ts';
import type { ClusterView } from '../placement/placement.ts';
import { aggregateCluster } from './aggregate.ts';
import { type AnswerHistograms, type AnswerTallies, createAnswerTallies } from './answers.ts';
import { type BlockReading, createBlockCollector } from './block-collector.ts';
import type { Inventory } from './inventory.ts';
import { createNodeReader } from './node-metrics.ts';
import { createPlaceHistories } from './place-histories.ts';
import { createRequestTallies, type RequestRecorder } from './requests.ts';
import { createSpeedBook, type SpeedBook } from './speeds.ts';
import { createVdagCollector } from './vdag-collector.ts';

export interface MetricsOptions {
  readonly inventory: Pick<Inventory, 'tenants' | 'clusters' | 'cluster'>;
  /** What placement sees of a cluster: metrics are made of the same, so that a filter and a document never disagree. */
  readonly snapshot: (tenant: string, view: ClusterView) => ClusterSnapshot;
  /** Every block there is, as it is now. */
  readonly blocks: () => Promise<readonly BlockReading[]>;
  /** Told what shards say of their nodes and the ways between them. @default one of its own */
  readonly speeds?: SpeedBook;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  /** Between readings; 0: only when `collect` is called. @default 2000 */
  readonly intervalMs?: number;
  /** Older readings are as none. @default 3 × intervalMs, at least 10000 */
  readonly staleAfterMs?: number;
  /** How far back histories go. @default 900000 */
  readonly keepMs?: number;
  /** Between readings kept of a node: there are thousands. @default 15000, at least intervalMs */
  readonly nodeIntervalMs?: number;
  readonly log?: (line: string) => void;
}

/** Reading all nodes may take this long each time; longer, and it takes at most 1/20 of the time. */
const freeMs = 50;
const busyFactor = 20;

/** What a history is of. */
export type HistorySubject =
  | { readonly type: 'node'; readonly clusterId: string; readonly nodeId: string }
  | { readonly type: 'cluster'; readonly clusterId: string };

/** Everything that is measured, by tenant. Nothing where there is no such thing, or no reading of it yet. */
export interface MetricsReader {
  node(tenant: string, clusterId: string, nodeId: string): NodeMetrics | undefined;
  cluster(tenant: string, clusterId: string): ClusterMetrics | undefined;
  block(tenant: string, blockId: string): BlockMetrics | undefined;
  instance(tenant: string, blockId: string, instanceId: string): InstanceMetrics | undefined;
  vdag(tenant: string, vdagUri: string): VdagMetrics | undefined;
  /** How a language model answers; nothing before it was asked. */
  answers(tenant: string, modelUri: string): AnswerHistograms | undefined;
  /** Of a counter: its growth per second. */
  history(tenant: string, subject: HistorySubject, metric: string): MetricWindow | undefined;
  /** Ids, in order. */
  clusterIds(tenant: string): readonly string[];
  blockIds(tenant: string): readonly string[];
  vdagUris(tenant: string): readonly string[];
}

export interface Metrics extends MetricsReader {
  /** Told by whoever sends requests. */
  readonly requests: RequestRecorder;
  /** Told by whoever drives language models; knows how they serve now. */
  readonly answering: Pick<AnswerTallies, 'begin' | 'serving'>;
  /** How fast shards and the ways between them are. */
  readonly speeds: Pick<SpeedBook, 'links' | 'link' | 'stepMs'>;
  /** Reads everything once. Never throws: what cannot be read is said in the log and grows stale. */
  collect(): Promise<void>;
  /** Memory that histories take. */
  readonly historyBytes: number;
  close(): Promise<void>;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const { inventory, snapshot, clock = Date.now, intervalMs = 2000, keepMs = 900_000 } = options;
  const stepMs = Math.max(1, intervalMs);
  const staleAfterMs = options.staleAfterMs ?? Math.max(10_000, 3 * intervalMs);
  const nodeIntervalMs = Math.max(stepMs, options.nodeIntervalMs ?? 15_000);
  const capacity = Math.ceil(keepMs / stepMs) + 1;
  const readNode = createNodeReader(staleAfterMs);
  const tallies = createRequestTallies(clock);
  const answering = createAnswerTallies();
  const speeds = options.speeds ?? createSpeedBook();
  const places = createPlaceHistories({
    clusterCapacity: capacity,
    nodeCapacity: Math.ceil(keepMs / nodeIntervalMs) + 1,
    nodeIntervalMs,
  });
  const blocks = createBlockCollector({
    ...{ tallies, capacity, staleAfterMs, intervalMs: stepMs },
    gpuUtilization: (tenant, clusterId, nodeId, index) => {
      const measured = inventory.cluster(tenant, clusterId)?.measured.get(nodeId);
      return measured && clock() - measured.atMs <= staleAfterMs
        ? measured.gpus?.find((gpu) => gpu.index === index)?.utilizationFraction
        : undefined;
    },
  });
  const vdags = createVdagCollector({ tallies, capacity, staleAfterMs, intervalMs: stepMs });
  let running: Promise<void> | undefined;
  let saidOfBlocks: string | undefined;
  let placesAfter = Number.NEGATIVE_INFINITY;

  function read(tenant: string, view: ClusterView): ClusterMetrics {
    const { id: clusterId } = view.spec;
    return aggregateCluster({
      ...{ tenant, clusterId, staleAfterMs },
      nodes: snapshot(tenant, view).nodes.map((node) => readNode(tenant, clusterId, node)),
      healthyNodes: view.healthyNodes,
      nowMs: clock(),
    });
  }

  async function collectAll(withPlaces: boolean): Promise<void> {
    try {
      const readings = await options.blocks();
      blocks.take(readings, clock());
      speeds.take(readings);
      saidOfBlocks = undefined;
    } catch (error) {
      const line = `blocks could not be measured: ${AiosError.from(error).message}`;
      if (line !== saidOfBlocks) options.log?.(line);
      saidOfBlocks = line;
    }
    vdags.take(clock());
    if (withPlaces) collectPlaces();
  }

  function collectPlaces(): void {
    const beganAt = performance.now();
    const all = inventory
      .tenants()
      .flatMap((tenant) => inventory.clusters(tenant).map((view) => read(tenant, view)));
    places.take(all, clock());
    // Of thousands of nodes it takes a while, in which nothing else happens here: history gets sparser instead.
    const tookMs = performance.now() - beganAt;
    placesAfter = tookMs > freeMs ? beganAt + tookMs * busyFactor : Number.NEGATIVE_INFINITY;
  }

  /** After the one under way, which may have read before what the caller asks for had happened. */
  function run(withPlaces: boolean): Promise<void> {
    const mine: Promise<void> = (running ?? Promise.resolve())
      .then(() => collectAll(withPlaces))
      .finally(() => {
        if (running === mine) running = undefined;
      });
    running = mine;
    return mine;
  }

  function tick(): void {
    if (!running) void run(performance.now() >= placesAfter);
  }

  const timer = intervalMs > 0 ? setInterval(tick, intervalMs).unref() : undefined;

  return {
    requests: tallies,
    answering,
    speeds,
    collect: () => run(true),
    node(tenant, clusterId, nodeId) {
      const view = inventory.cluster(tenant, clusterId);
      const found = view && snapshot(tenant, view).nodes.find(({ id }) => id === nodeId);
      if (!found) return undefined;
      const windows = places.node(tenant, clusterId, nodeId);
      return { ...readNode(tenant, clusterId, found), windows };
    },
    cluster(tenant, clusterId) {
      const view = inventory.cluster(tenant, clusterId);
      const links = speeds.links(tenant, clusterId);
      const windows = places.cluster(tenant, clusterId);
      return view && { ...read(tenant, view), windows, ...(links.length > 0 ? { links } : {}) };
    },
    block: blocks.block,
    instance: blocks.instance,
    vdag(tenant, uri) {
      const found = vdags.vdag(tenant, uri);
      const serving = answering.serving(tenant, uri);
      return found && { ...found, ...(serving ? { serving } : {}) };
    },
    answers: answering.histograms,
    history(tenant, subject, metric) {
      const windows: Readonly<Record<string, MetricWindow>> =
        subject.type === 'node'
          ? places.node(tenant, subject.clusterId, subject.nodeId)
          : places.cluster(tenant, subject.clusterId);
      return Object.hasOwn(windows, metric) ? windows[metric] : undefined;
    },
    clusterIds: (tenant) =>
      inventory
        .clusters(tenant)
        .map(({ spec }) => spec.id)
        .sort(),
    blockIds: blocks.blocks,
    vdagUris: vdags.uris,
    get historyBytes() {
      return blocks.historyBytes + places.historyBytes + vdags.historyBytes;
    },
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
