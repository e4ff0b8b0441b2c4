/**
 * Placements per second, decision and all: one cluster of 10, 100 and 1,000 nodes of 8 GPUs, a block of one GPU, the plan
 * reserved and given back each time. `node test/bench/run.js placement [--json]`
 */
import { builtinPolicies } from '../../policies/index.ts';
import { createPlacement } from '../../runtime/placement/index.ts';
import { createPolicyHost } from '../../runtime/policy/index.ts';
import { createMemoryStore } from '../../runtime/store/index.ts';
import { clusterSpec } from '../../sdk/spec/cluster.ts';
import { policyReference, resourceAmounts } from '../../sdk/spec/common.ts';

const gibibyte = 2 ** 30;
const seconds = 3;

function clusterOf(nodes: number) {
  return clusterSpec.parse({
    id: 'bench',
    nodes: Array.from({ length: nodes }, (_, at) => ({
      id: `node-${at}`,
      memoryBytes: (64 + (at % 7)) * gibibyte,
      cpuCores: 32,
      gpus: Array.from({ length: 8 }, () => ({ memoryBytes: 16 * gibibyte })),
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

async function measure(nodes: number, allocator: string) {
  const spec = clusterOf(nodes);
  const view = {
    spec,
    healthyNodes: new Set<string>(spec.nodes.map((node) => node.id)),
    measured: new Map(),
  };
  const host = createPolicyHost({
    builtins: builtinPolicies,
    store: createMemoryStore(),
    loadArtifact: () => Promise.reject(new Error('no artifacts in this benchmark')),
  });
  const placement = createPlacement({
    host,
    inventory: () => ({ clusters: [view], revision: 1 }),
  });
  placement.ledgerOf('default').setCluster(spec);
  const policies = {
    clusterAllocator: policyReference.parse({ parameters: { filter } }),
    resourceAllocator: policyReference.parse({ policyRuleURI: `${allocator}:1.0.0-stable` }),
  };
  const block = {
    ...{ id: 'b', componentUri: 'bench.block:1-x', tenant: 'default', tags: [], instances: [] },
    ...{ minInstances: 1, maxInstances: 1 },
    resources: resourceAmounts.parse({
      memoryBytes: gibibyte,
      cpuCores: 1,
      gpus: [{ memoryBytes: gibibyte }],
    }),
  };
  let next = 0;
  const place = async (): Promise<void> => {
    const { decision, reservationId } = await placement.place(
      {
        ...{ tenant: 'default', block, policies, instances: 1, reason: 'create' },
        instanceIds: [`in-${next++}`],
      },
      { reserve: true },
    );
    if (!reservationId) throw new Error(decision.message);
    placement.ledgerOf('default').cancel(reservationId);
  };
  for (let warm = 0; warm < 50; warm += 1) await place();

  const durationsMs: number[] = [];
  const endMs = performance.now() + seconds * 1000;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  while (performance.now() < endMs) {
    const beforeMs = performance.now();
    await place();
    durationsMs.push(performance.now() - beforeMs);
  }
  const elapsedMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(startedCpu);
  await host.close();
  durationsMs.sort((a, b) => a - b);
  const at = (fraction: number): number =>
    durationsMs[Math.min(durationsMs.length - 1, Math.floor(fraction * durationsMs.length))] ?? 0;
  return {
    ...{ nodes, gpus: nodes * 8, allocator },
    placementsPerSecond: Math.round((durationsMs.length / elapsedMs) * 1000),
    medianMs: Number(at(0.5).toFixed(3)),
    p99Ms: Number(at(0.99).toFixed(3)),
    // Where the machine is shared, processor time says more than elapsed time.
    cpuMs: Number(((user + system) / 1000 / durationsMs.length).toFixed(3)),
  };
}

const rows = [];
for (const nodes of [10, 100, 1000]) rows.push(await measure(nodes, 'bin-pack'));
for (const allocator of ['spread', 'least-loaded']) rows.push(await measure(1000, allocator));
if (process.argv.includes('--json')) console.log(JSON.stringify(rows));
else console.table(rows);
