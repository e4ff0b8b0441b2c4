import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Decision } from '../../../sdk/client/api.ts';
import { Plane, tenant } from './plane.ts';

const load = (file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../../../examples/specs/${file}`, import.meta.url), 'utf8'));

const envelope = (values: unknown) => ({
  head: { templateUri: 'Parser/V1', parameters: {} },
  body: { spec: { values } },
});

const node = (id: string, gpus: number, gpuMemory: string) => ({
  ...{ id, memoryBytes: '64Gi', cpuCores: 8 },
  gpus: Array.from({ length: gpus }, () => ({ modelName: 'sim', memoryBytes: gpuMemory })),
});
const cluster = (id: string, vendor: string, nodes: readonly unknown[]) => ({
  ...{ id, backend: 'simulated', metadata: { vendor }, nodes },
});

/** A network in which each example has exactly one home, and every other cluster one thing that is wrong. */
const network = {
  bangalore: cluster('bangalore', 'dma-bangalore', [
    node('b1', 4, '24Gi'),
    node('b2', 4, '24Gi'),
    node('b3', 0, '1Gi'),
  ]),
  elsewhere: cluster('elsewhere', 'somebody-else', [node('e1', 8, '80Gi')]),
  fewGpus: cluster('few-gpus', 'dma-bangalore', [node('f1', 2, '40Gi')]),
  smallGpus: cluster('small-gpus', 'dma-bangalore', [node('s1', 8, '8Gi')]),
};

let plane: Plane;
beforeEach(async () => {
  plane = await new Plane().up();
});
afterEach(() => plane.remove());

const declare = async (...clusters: readonly unknown[]) => {
  for (const each of clusters) await plane.api.create(tenant, 'cluster', each);
};
const refusals = ({ candidates }: Decision) =>
  Object.fromEntries(
    candidates.flatMap(({ clusterId, nodeId, refusedBy, seen }) =>
      refusedBy ? [[nodeId ? `${clusterId}/${nodeId}` : clusterId, `${refusedBy} (${seen})`]] : [],
    ),
  );

async function run(id: string): Promise<readonly string[]> {
  await expect.poll(async () => (await plane.block(id)).state, { timeout: 10_000 }).toBe('running');
  const { clusterId, instances } = await plane.block(id);
  return instances.map(({ nodeId, gpus }) => `${clusterId}/${nodeId} gpus ${gpus.join(',')}`);
}

const examples = [
  {
    name: 'mistral',
    id: 'mistral-chat-88',
    home: /^bangalore\/b[12] gpus \d,\d,\d$/,
    refused: {
      elsewhere: 'clusterMetadata.vendor == dma-bangalore (somebody-else)',
      'few-gpus': 'gpus.count >= 3 (2)',
    },
    hopeless: [network.elsewhere, network.fewGpus],
  },
  {
    name: 'yolo',
    id: 'detector-yolo-88',
    home: /^(bangalore\/b[12]|small-gpus\/s1) gpus \d$/,
    refused: {
      elsewhere: 'clusterMetadata.vendor == dma-bangalore (somebody-else)',
      'few-gpus': 'gpus.count > 5 (2)',
    },
    hopeless: [network.elsewhere, network.fewGpus],
  },
  {
    name: 'vllm',
    id: 'vllm-chat-01',
    home: /^(bangalore|few-gpus|small-gpus)\/\w+ gpus $/,
    refused: { elsewhere: 'clusterMetadata.vendor == dma-bangalore (somebody-else)' },
    hopeless: [network.elsewhere],
  },
];

describe.each([
  ['bare', (values: unknown) => values],
  ['in its envelope', envelope],
])("AIOS's own examples, %s", (_, wrap) => {
  it.each(examples)('$id is placed where it matches, and nowhere else', async (example) => {
    await declare(...Object.values(network));
    await plane.api.create(tenant, 'component', wrap(load(`${example.name}-component.json`)));

    const dryRun = await plane.api.dryRunBlock(tenant, wrap(load(`${example.name}-block.json`)));
    await plane.api.create(tenant, 'block', wrap(load(`${example.name}-block.json`)));

    expect(dryRun.outcome).toBe('dry-run');
    expect(refusals(dryRun)).toMatchObject(example.refused);
    expect(await run(example.id)).toEqual([expect.stringMatching(example.home)]);
  });

  it.each(examples)(
    '$id waits with the exact reason, and runs once a cluster matches',
    async (example) => {
      await declare(...example.hopeless);
      await plane.api.create(tenant, 'component', wrap(load(`${example.name}-component.json`)));
      await plane.api.create(tenant, 'block', wrap(load(`${example.name}-block.json`)));

      await expect
        .poll(async () => (await plane.block(example.id)).reason ?? '')
        .toContain('no cluster passes the filter');
      const [decision] = await plane.api.explain(tenant, example.id);
      expect(decision && refusals(decision)).toMatchObject(example.refused);

      await declare(network.bangalore);
      expect(await run(example.id)).toHaveLength(1);
    },
  );
});

describe('a cluster that passes the filter and has no room', () => {
  it('is refused for the devices, node by node', async () => {
    await declare(network.smallGpus);
    await plane.api.create(tenant, 'component', load('mistral-component.json'));

    const decision = await plane.api.dryRunBlock(tenant, load('mistral-block.json'));

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toMatch(/no node fits 3 GPUs of 15\.6 GiB/);
    expect(refusals(decision)['small-gpus/s1']).toBe('free.gpus >= 3 of 15.6 GiB (0 of 8)');
  });

  it('runs nothing that is only a container where containers do not run, and says so', async () => {
    const local = { ...network.bangalore, id: 'local', backend: 'local' };
    await declare(local);
    await plane.api.create(tenant, 'component', load('vllm-component.json'));

    const decision = await plane.api.dryRunBlock(tenant, load('vllm-block.json'));

    expect(refusals(decision)).toEqual({
      local: 'a backend that runs container images (local)',
    });
  });
});
