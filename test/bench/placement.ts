/**
 * Placements per second, decision and all, at 1,000, 5,000 and 10,000 nodes of 8 GPUs: selective blocks, whose filter lets
 * about 50 nodes through, and some for which every node is a candidate. Each placement is of a block of its own; each plan
 * is reserved and committed, and the oldest of 500 goes, so that every placement finds other nodes changed.
 * `scoredPerPlacement` is how many nodes the policy scored: every candidate, every time. `log`: where each decision was
 * written with all it was made of, before the clock was stopped: to the store of a control plane (`file`), to one in memory,
 * or nowhere. A decision that was not written fails the run. `node test/bench/run.js placement [--json]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtinPolicies } from '../../policies/index.ts';
import { openDecisionLog } from '../../runtime/decision/index.ts';
import { createPlacement } from '../../runtime/placement/index.ts';
import { createPolicyHost } from '../../runtime/policy/index.ts';
import { createMemoryStore, createSqliteStore } from '../../runtime/store/index.ts';
import { clusterSpec } from '../../sdk/spec/cluster.ts';
import { placementRules, policyReference, resourceAmounts } from '../../sdk/spec/common.ts';

const gibibyte = 2 ** 30;
const measuredMs = 3000;
const warmUp = 300;
const running = 500;
/** Nodes that the selective filter lets through, whatever the size. */
const inRack = 50;

function clusterOf(nodes: number) {
  return clusterSpec.parse({
    id: 'bench',
    nodes: Array.from({ length: nodes }, (_, at) => ({
      id: `node-${String(at).padStart(5, '0')}`,
      memoryBytes: (512 + (at % 7)) * gibibyte,
      cpuCores: 128,
      gpus: Array.from({ length: 8 }, () => ({ memoryBytes: 80 * gibibyte })),
      metadata: { rack: `r${at % Math.floor(nodes / inRack)}` },
    })),
  });
}

const filter = {
  logicalOperator: 'AND',
  conditions: [
    { variable: 'cluster.gpu.totalFreeMem', operator: '>', value: '48000' },
    { variable: 'gpus.count', operator: '>=', value: 3 },
  ],
};

const selective = placementRules.parse({
  nodeAffinity: {
    required: {
      nodeQuery: { variable: 'metadata.rack', operator: '==', value: 'r3' },
      gpuQuery: { count: 1, where: { variable: 'freeMem', operator: '>=', value: 8192 } },
    },
  },
});

type Log = 'file' | 'memory' | 'off';

/** Lets timers and disk through, as the requests of a control plane do: the log is written while placements go on. */
const otherWork = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function measure(
  nodes: number,
  candidates: 'selective' | 'all pass',
  allocator: string,
  log: Log = 'file',
) {
  const folder = mkdtempSync(join(tmpdir(), 'aios-bench-'));
  const store = log === 'file' ? createSqliteStore(join(folder, 'aios.db')) : createMemoryStore();
  const decisions = log === 'off' ? undefined : await openDecisionLog({ store });
  let stored = 0;
  store.watch(['decision'], ({ type }) => {
    if (type === 'put') stored += 1;
  });

  const spec = clusterOf(nodes);
  const view = {
    spec,
    healthyNodes: new Set<string>(spec.nodes.map((node) => node.id)),
    measured: new Map(),
  };
  const host = createPolicyHost({
    builtins: builtinPolicies,
    store,
    loadArtifact: () => Promise.reject(new Error('no artifacts in this benchmark')),
  });
  const placement = createPlacement({ host, inventory: () => ({ clusters: [view], revision: 1 }) });
  const ledger = placement.ledgerOf('default');
  ledger.setCluster(spec);
  const policies = {
    clusterAllocator: policyReference.parse({ parameters: { filter } }),
    resourceAllocator: policyReference.parse({ policyRuleURI: `${allocator}:1.0.0-stable` }),
  };
  const block = {
    ...{ componentUri: 'bench.block:1-x', tenant: 'default', tags: [], instances: [] },
    ...{ minInstances: 1, maxInstances: 1 },
    resources: resourceAmounts.parse({
      memoryBytes: gibibyte,
      cpuCores: 0.25,
      gpus: [{ memoryBytes: 2 * gibibyte }],
    }),
    ...(candidates === 'selective' ? { placement: selective } : {}),
  };
  const placed: string[] = [];
  let next = 0;
  let scored = 0;
  async function place(): Promise<void> {
    const id = `block-${next}`;
    const instanceId = `${id}-0`;
    next += 1;
    const { decision, reservationId } = await placement.place(
      {
        ...{ tenant: 'default', policies, instances: 1, reason: 'create' },
        ...{ block: { ...block, id }, instanceIds: [instanceId] },
      },
      { reserve: true },
    );
    if (!reservationId) throw new Error(decision.message);
    ledger.commit(reservationId);
    decisions?.record(decision);
    scored += decision.candidateCounts?.scored ?? 0;
    placed.push(instanceId);
    const oldest = placed.length > running ? placed.shift() : undefined;
    if (oldest !== undefined) ledger.release(oldest);
  }
  for (let warm = 0; warm < warmUp; warm += 1) {
    await place();
    await otherWork();
  }
  await decisions?.flush();

  scored = 0;
  stored = 0;
  const durationsMs: number[] = [];
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  while (performance.now() < startedMs + measuredMs) {
    const beforeMs = performance.now();
    await place();
    durationsMs.push(performance.now() - beforeMs);
    await otherWork();
  }
  await decisions?.flush();
  const elapsedMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(startedCpu);
  await decisions?.close();
  await host.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
  const count = durationsMs.length;
  if (decisions && stored !== count) throw new Error(`${stored} of ${count} decisions were stored`);
  durationsMs.sort((a, b) => a - b);
  const at = (fraction: number): number =>
    durationsMs[Math.min(count - 1, Math.floor(fraction * count))] ?? 0;
  return {
    ...{ nodes, gpus: nodes * 8, candidates, allocator, log },
    placementsPerSecond: Math.round((count / elapsedMs) * 1000),
    medianMs: Number(at(0.5).toFixed(3)),
    p99Ms: Number(at(0.99).toFixed(3)),
    // Where the machine is shared, processor time says more than elapsed time.
    cpuMs: Number(((user + system) / 1000 / count).toFixed(3)),
    scoredPerPlacement: Number((scored / count).toFixed(1)),
    stored,
  };
}

const rows = [];
for (const nodes of [1000, 5000, 10_000]) {
  rows.push(await measure(nodes, 'selective', 'bin-pack'));
  rows.push(await measure(nodes, 'all pass', 'bin-pack'));
}
for (const log of ['memory', 'off'] as const) {
  rows.push(await measure(5000, 'selective', 'bin-pack', log));
  rows.push(await measure(5000, 'all pass', 'bin-pack', log));
}
rows.push(await measure(5000, 'all pass', 'least-loaded'));
if (process.argv.includes('--json')) console.log(JSON.stringify(rows));
else console.table(rows);
