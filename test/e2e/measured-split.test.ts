import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterStatus, Decision } from '../../sdk/client/api.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { aios, eventually, System, tinyAssistant } from '../support/system.ts';

interface FittedPlan extends SplitPlan {
  readonly fit?: {
    readonly split: boolean;
    readonly reason?: string;
    readonly nodes?: readonly string[];
    readonly leftOut: readonly { readonly node: string; readonly why: string }[];
  };
}

let system: System;
let scratch: string;

const clusterOf = (id: string) => system.json<ClusterStatus>('get', 'cluster', id);
const split = (out: string, ...flags: string[]) =>
  system.json<FittedPlan>('split', tinyAssistant, '--out', join(scratch, out), ...flags);

async function createCluster(document: object): Promise<void> {
  const created = await aios(['create-cluster', '-f', '-'], {
    url: system.url,
    input: JSON.stringify(document),
  });
  expect(created.err).toBe('');
}

async function ask(model: string, prompt: string): Promise<void> {
  const answer = await fetch(`${system.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt, max_tokens: 150, ignore_eos: true }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'aios-measured-'));
  system = await System.start();
  // A core each, so that shards are apart.
  await system.cluster('home', 2, 2 * 2 ** 30, 1);
}, 60_000);
afterAll(async () => {
  await system?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

describe('what running shards measure', () => {
  it('reaches the planner, which leaves a slow node out and is obeyed', async () => {
    const model = await system.model(tinyAssistant, 2);
    const measured = await eventually('both nodes and the way between them are known', async () => {
      await ask(model, 'The river runs through');
      const cluster = await clusterOf('home');
      const from = cluster.nodes.map((node) => node.measured?.speedFrom);
      const ends = cluster.links?.map(({ between }) => between.join(' to '));
      const known = from.every((one) => one === 'shards');
      return known && ends?.includes('home/home-0 to home/home-1') ? cluster : undefined;
    });
    for (const { measured: reading } of measured.nodes) {
      expect(reading?.weightBytesPerSecond).toBeGreaterThan(1e7);
    }
    const ways = new Map((measured.links ?? []).map((link) => [link.between.join(), link.values]));
    expect([...ways.keys()]).toContain('drivers,home/home-0');
    expect(ways.get('home/home-0,home/home-1')).toMatchObject({
      latencyMs: expect.any(Number),
      bytesPerSecond: expect.any(Number),
    });
    const exposed = await (await fetch(`${system.url}/metrics`)).text();
    expect(exposed).toMatch(/aios_node_weight_bytes_per_second\{[^}]*node="home-0"\} \d/);
    expect(exposed).toMatch(/aios_link_latency_seconds\{[^}]*to="home\/home-1"\} 0\.\d/);

    const hare = await aios(['add-node', 'home', '-'], {
      url: system.url,
      input: JSON.stringify({ id: 'hare', memoryBytes: '2Gi', cpuCores: 4 }),
    });
    expect(hare.exitCode).toBe(0);
    const slow = { id: 'tortoise', memoryBytes: '64Gi', cpuCores: 8 };
    const metadata = { weightBytesPerSecond: 1e6 };
    await createCluster({ id: 'far', backend: 'simulated', nodes: [{ ...slow, metadata }] });
    await eventually('the slow node is measured', async () => {
      const [node] = (await clusterOf('far')).nodes;
      return node?.measured?.weightBytesPerSecond === 1e6;
    });
    await eventually('the new node is as fast as its machine', async () => {
      const found = (await clusterOf('home')).nodes.find(({ id }) => id === 'hare');
      return found?.measured?.speedFrom === 'shards';
    });

    const plan = await split('fitted', '--fit', 'home', '--fit', 'far', '--max-sessions', '2');
    expect(plan.planner).toBe('fastest:1.0.0-stable');
    const [node = ''] = plan.fit?.nodes ?? [];
    expect(plan.fit).toMatchObject({ split: false, nodes: ['home/hare'] });
    expect(plan.fit?.leftOut).toContainEqual({
      node: 'far/tortoise',
      why: expect.stringContaining('slow: '),
    });

    const words = await system.aios(
      ...['split', tinyAssistant, '--out', join(scratch, 'words')],
      ...['--fit', 'home', '--fit', 'far', '--max-sessions', '2'],
    );
    expect(words.out).toContain('do not split, all of it on home/hare');
    expect(words.out).toContain('leave out far/tortoise: slow: ');

    const [blockId = ''] = plan.blocks.map(({ id }) => id);
    await system.json('create-plan', join(scratch, 'fitted'), '--wait');
    const block = await system.block(blockId);
    expect(`home/${block?.instances[0]?.nodeId}`).toBe(node);
    const [decision] = await system.json<Decision[]>('explain', 'block', blockId);
    expect(decision?.message).toContain(
      `As preferred: 'fastest:1.0.0-stable' meant shard 0 for ${node}.`,
    );
  }, 120_000);

  it('a plan that means the same shard for another node is the same plan', async () => {
    const again = await split('again', '--max-sessions', '2');
    expect(again.blocks[0]?.placement).toBeUndefined();
    await system.json('create-plan', join(scratch, 'again'), '--wait');
  });

  it('a model runs beside itself with other activations between its shards, over the same blocks', async () => {
    await split('two', '--shards', '2', '--max-sessions', '3');
    const folder = join(scratch, 'two');
    const exact = await system.json<{ model: string; blocks: string[] }>('create-plan', folder);
    const half = await system.json<{ model: string; blocks: string[] }>(
      ...['create-plan', folder, '--activation-dtype', 'fp16', '--wait'],
    );
    expect(half.blocks).toEqual(exact.blocks);
    expect(half.model).toBe(exact.model.replace(/-stable$/, '.fp16-stable'));
    await ask(half.model, 'The river runs through');

    const wrong = await system.aios('create-plan', folder, '--activation-dtype', 'fp8');
    expect(wrong.exitCode).not.toBe(0);
    expect(wrong.err).toContain("'fp8' is no activation dtype; expected fp32, fp16, int8, auto");
    const many = await system.aios('create-plan', folder, '--activation-dtype', 'fp16,int8');
    expect(many.err).toContain('has 1 links between shards');
  }, 60_000);

  it('says what would fit where nothing does', async () => {
    await createCluster({
      ...{ id: 'tiny', backend: 'simulated' },
      nodes: [{ id: 'one', memoryBytes: '150Mi', cpuCores: 1 }],
    });
    const refused = await system.aios(
      ...['split', tinyAssistant, '--out', join(scratch, 'none'), '--fit', 'tiny'],
    );
    expect(refused.exitCode).not.toBe(0);
    expect(refused.err).toMatch(/What would fit: .* more on tiny\/one, or /);
  });
});
