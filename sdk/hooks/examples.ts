import type { ClusterSnapshot, NodeSnapshot } from '../cluster.ts';
import type { HookAction, HookInput, HookInputs, HookName } from '../hooks.ts';
import type { BlockMetrics, MetricWindow } from '../metrics.ts';
import { type PreCheckAction, preCheckActions } from './admission.ts';
import type { BlockView } from './views.ts';

const gibibyte = 2 ** 30;

/** A node of 16 GiB, 8 cores and two GPUs of 24 GiB, of which this share is taken. */
function node(id: string, takenFraction: number): NodeSnapshot {
  const left = 1 - takenFraction;
  const gpuBytes = 24 * gibibyte;
  return {
    id,
    healthy: true,
    capacity: {
      memoryBytes: 16 * gibibyte,
      cpuCores: 8,
      gpus: [0, 1].map((index) => ({ index, memoryBytes: gpuBytes })),
    },
    free: {
      memoryBytes: 16 * gibibyte * left,
      cpuCores: 8 * left,
      gpus: [0, 1].map((index) => ({ index, memoryBytes: gpuBytes * left })),
    },
    gpus: [0, 1].map((index) => ({
      index,
      modelName: 'example-gpu',
      totalMemoryBytes: gpuBytes,
      freeMemoryBytes: gpuBytes * left,
      utilizationFraction: takenFraction,
      sharedBy: takenFraction > 0 ? 1 : 0,
      exclusive: false,
    })),
    instances: takenFraction > 0 ? 1 : 0,
    tags: [],
    metadata: { zone: `zone-${id.at(-1)}` },
  };
}

const nodes = [node('node-1', 0.5), node('node-2', 0), node('node-3', 0.75)];
const cluster: ClusterSnapshot = {
  ...{ id: 'example', regionId: 'local', tags: [], metadata: {} },
  nodes,
};
const block: BlockView = {
  ...{ id: 'example-block', componentUri: 'example.block:1.0.0-stable', tenant: 'default' },
  ...{ minInstances: 1, maxInstances: 4, tags: [], priority: 0 },
  resources: { memoryBytes: 2 * gibibyte, cpuCores: 1, gpus: [] },
  instances: [{ id: 'in-1', clusterId: 'example', nodeId: 'node-1' }],
};
const running = [
  { id: 'in-1', outstandingRequests: 3, latencyMs: 40, nodeId: 'node-1' },
  { id: 'in-2', outstandingRequests: 1, latencyMs: 55, nodeId: 'node-2' },
];
const packet = { sessionId: 'session-1', sequence: 0, data: { text: 'hello' } };
const places = { block, instances: 1, cluster, nodes };
const plan = {
  clusterId: 'example',
  score: 0.7,
  assignments: [{ nodeId: 'node-2', gpus: [] }],
};

function preCheckExample<A extends PreCheckAction>(action: A) {
  const input = { id: 'example-block', componentUri: block.componentUri, tags: ['example'] };
  return { action, level: 'network' as const, input, cluster, block };
}

const steady = (value: number): MetricWindow => ({
  ...{ last: value, atMs: 60_000, max: value, trendPerSecond: 0, samples: 30, coveredMs: 60_000 },
  averages: { '1m': value, '5m': value, '15m': value },
});
const metrics: BlockMetrics = {
  ...{
    type: 'block',
    id: 'example-block',
    collectedAtMs: 60_000,
    staleAfterMs: Number.MAX_SAFE_INTEGER,
  },
  ...{ requestsTotal: 240, failuresTotal: 0, instances: [], clusterId: 'example' },
  outstandingRequests: steady(4),
  queueLength: steady(2),
  requestsPerSecond: steady(4),
  failuresPerSecond: steady(0),
  latencyMs: steady(50),
  cpuFraction: steady(0.9),
  readyInstances: steady(1),
};

/** One question of every action of every hook: for `aios policy new` and `bench`, and for authors' own tests. */
export const exampleInputs: {
  readonly [H in HookName]: { readonly [A in HookAction<H>]: HookInput<H, A> };
} = {
  clusterAllocator: {
    selection: { action: 'selection', block, clusters: [cluster] },
    post_dry_run: { action: 'post_dry_run', block, candidates: [plan] },
  },
  resourceAllocator: {
    dry_run: { action: 'dry_run', ...places },
    allocation: { action: 'allocation', ...places, plan },
    scale: { action: 'scale', ...places, metrics },
    reassignment: {
      ...{ action: 'reassignment', ...places, instanceId: 'in-1' },
      reason: 'process exited',
    },
    third_party_allocate: { action: 'third_party_allocate', ...places },
  },
  adhocAllocator: { allocate: { action: 'allocate', clusters: [cluster], inputs: {} } },
  preemption: {
    preempt: {
      ...{ action: 'preempt', block: { ...block, priority: 10 }, instances: 1 },
      options: [
        {
          ...{ clusterId: 'example', nodeIds: ['node-1'] },
          victims: [
            {
              ...{ instanceId: 'in-9', blockId: 'batch', priority: 0, startedAtMs: 0 },
              amounts: { memoryBytes: gibibyte, cpuCores: 1, gpus: [] },
            },
          ],
        },
      ],
    },
  },
  resourceEstimator: {
    estimate: { action: 'estimate', policyUri: 'example:1.0.0-stable', kind: 'job', nodes },
  },
  loadBalancer: {
    load_balance: {
      ...{ action: 'load_balance', blockId: 'example-block', sessionId: 'session-1' },
      instances: running,
    },
    estimate: { action: 'estimate', blockId: 'example-block', instances: running },
    check_execute: {
      ...{ action: 'check_execute', blockId: 'example-block', inputs: {} },
      instances: running,
    },
  },
  autoscaler: { evaluate: { action: 'evaluate', block, metrics, cluster } },
  stabilityChecker: {
    block: {
      ...{ action: 'block', block },
      instances: [{ id: 'in-1', nodeId: 'node-1', state: 'ready', healthy: false, restarts: 1 }],
    },
    cluster: { action: 'cluster', cluster },
  },
  pre_processing: {
    block: { action: 'block', blockId: 'example-block', packet },
    vdag_node: {
      ...{ action: 'vdag_node', vdagUri: 'example:1.0.0-stable', nodeLabel: 'first' },
      ...{ modelParameters: {}, packet },
    },
  },
  post_processing: {
    block: { action: 'block', blockId: 'example-block', packet },
    vdag_node: {
      ...{ action: 'vdag_node', vdagUri: 'example:1.0.0-stable', nodeLabel: 'first' },
      ...{ modelParameters: {}, packet },
    },
  },
  blockEvent: {
    event: {
      ...{ action: 'event', blockId: 'example-block' },
      ...{ eventName: 'low-confidence', eventData: { score: 0.2 } },
    },
  },
  preCheck: Object.fromEntries(
    preCheckActions.map((action) => [action, preCheckExample(action)]),
  ) as unknown as HookInputs['preCheck'],
  assignment: {
    assign: {
      ...{ action: 'assign', vdagUri: 'example:1.0.0-stable', nodeLabel: 'first' },
      candidates: [{ block, metrics }],
    },
  },
  quotaChecker: {
    check: {
      ...{ action: 'check', vdagUri: 'example:1.0.0-stable', caller: 'team-a' },
      ...{ sessionId: 'session-1', cost: 1, requests: 1 },
    },
  },
  qualityChecker: {
    check: {
      ...{ action: 'check', vdagUri: 'example:1.0.0-stable' },
      ...{ request: { text: 'hello' }, response: { text: 'hello to you' } },
    },
  },
  healthChecker: {
    fast_check: {
      ...{ action: 'fast_check', vdagUri: 'example:1.0.0-stable' },
      blocks: [{ id: 'example-block', readyInstances: 1 }],
    },
    default: {
      ...{ action: 'default', vdagUri: 'example:1.0.0-stable' },
      blocks: [{ id: 'example-block', readyInstances: 1, wantedInstances: 1 }],
    },
  },
  ranking: {
    rank: { action: 'rank', matchType: 'block', candidates: [{ id: 'example-block' }] },
  },
  template: {
    execute: { action: 'execute', templateUri: 'Example/V1', spec: { id: 'example-block' } },
  },
  failurePolicy: {
    handle: {
      ...{ action: 'handle', subject: 'block/example-block', inputs: {} },
      failure: { code: 'INSTANCE_FAILED', message: 'exit code 1', count: 1 },
    },
  },
  splitPlanner: {
    plan: {
      action: 'plan',
      model: {
        name: 'example-model',
        layers: Array.from({ length: 8 }, () => ({ residentBytes: gibibyte, kvBytes: 2 ** 20 })),
        ...{ embeddingBytes: gibibyte, headBytes: gibibyte, overheadBytes: gibibyte / 8 },
      },
      nodes: nodes.map(({ id, free }) => ({
        ...{ clusterId: 'example', nodeId: id, cpuCores: free.cpuCores },
        freeMemoryBytes: free.memoryBytes,
      })),
    },
  },
  function: { call: { action: 'call', input: { text: 'hello' } } },
};
