/**
 * A decision over 10, 100 and 1,000 nodes of 8 GPUs, one node changed each time: in this process, in the sandbox with the
 * nodes resident, and in the sandbox with everything shipped each time. `node test/bench/run.js sandbox [--json]`
 */
import { deepFreeze, freezeList } from '../../runtime/policy/index.ts';
import { createSandbox } from '../../runtime/policy/sandbox.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';

const gibibyte = 2 ** 30;
const seconds = 1.5;

/** The same function on both sides of the wall. */
const evaluate = `(input) => {
  let best;
  for (const node of input.nodes) {
    let free = 0;
    for (const gpu of node.gpus) free += gpu.freeMemoryBytes;
    if (!best || free > best.free) best = { id: node.id, free };
  }
  return { score: 1, assignments: [{ nodeId: best.id, gpus: [0] }] };
}`;
const source = `
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: 'resourceAllocator', parameters: anything, settings: anything,
  evaluate: ${evaluate},
};`;
const inProcess = new Function(`return ${evaluate}`)() as (input: unknown) => unknown;

function nodeOf(id: number, freeBytes: number): NodeSnapshot {
  const gpus = Array.from({ length: 8 }, (_, index) => ({
    ...{ index, modelName: 'gpu', totalMemoryBytes: 16 * gibibyte, freeMemoryBytes: freeBytes },
    ...{ utilizationFraction: 0, sharedBy: 0, exclusive: false },
  }));
  const amounts = gpus.map(({ index, freeMemoryBytes }) => ({
    index,
    memoryBytes: freeMemoryBytes,
  }));
  return deepFreeze({
    ...{ id: `node-${id}`, healthy: true, instances: 0, tags: [], metadata: {}, gpus },
    capacity: { memoryBytes: 64 * gibibyte, cpuCores: 32, gpus: amounts },
    free: { memoryBytes: 64 * gibibyte, cpuCores: 32, gpus: amounts },
  });
}

async function rate(run: () => Promise<unknown> | unknown): Promise<number> {
  for (let warm = 0; warm < 5; warm += 1) await run();
  const endMs = performance.now() + seconds * 1000;
  const startedMs = performance.now();
  let count = 0;
  while (performance.now() < endMs) {
    await run();
    count += 1;
  }
  return (1000 * count) / (performance.now() - startedMs);
}

async function measure(count: number) {
  const sandbox = createSandbox({
    ...{ uri: 'bench:1-x', hook: 'resourceAllocator', source, entry: 'default' },
  });
  const nodes = Array.from({ length: count }, (_, id) => nodeOf(id, 8 * gibibyte));
  let turn = 0;
  const next = () => {
    turn += 1;
    nodes[turn % count] = nodeOf(turn % count, (turn % 16) * gibibyte);
    const list = freezeList([...nodes]);
    return deepFreeze({
      action: 'dry_run',
      cluster: deepFreeze({ id: 'c', nodes: list }),
      nodes: list,
    });
  };
  const ask = (input: unknown) =>
    sandbox.run({
      ...{ hook: 'resourceAllocator', input, parameters: {}, settings: {}, state: {} },
      ...{ nowMs: 0, seed: 1, timeLimitMs: 5000 },
    });
  const here = await rate(() => inProcess(next()));
  const resident = await rate(() => ask(next()));
  // What is not frozen may have changed, so it is shipped.
  const shipped = await rate(() => ask(structuredClone(next())));
  await sandbox.close();
  return {
    ...{ nodes: count, inProcessPerSecond: Math.round(here) },
    ...{ residentPerSecond: Math.round(resident), shippedPerSecond: Math.round(shipped) },
    residentOverShipped: Number((resident / shipped).toFixed(1)),
    inProcessOverResident: Number((here / resident).toFixed(1)),
  };
}

const rows = [];
for (const count of [10, 100, 1000]) rows.push(await measure(count));
if (process.argv.includes('--json')) console.log(JSON.stringify(rows));
else console.table(rows);
