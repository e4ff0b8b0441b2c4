import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectInstance, mintTicket } from '../../../runtime/dataplane/index.ts';
import type { RoutedInstance } from '../../../runtime/index.ts';
import { createSqliteStore } from '../../../runtime/store/index.ts';
import { waitersOf } from '../../support/signal.ts';
import { eventually } from '../../support/system.ts';
import { block, bundle, hashOf, node, Plane, tenant } from './plane.ts';

let plane: Plane;
beforeEach(async () => {
  plane = await new Plane().up();
});
afterEach(() => plane.remove());

const running = (id: string, instances = 1) =>
  eventually(`block ${id} runs`, async () => {
    const status = await plane.block(id);
    return status.state === 'running' && status.instances.length === instances && status;
  });

const pick = (blockId: string, waitMs = 20_000): Promise<RoutedInstance> =>
  plane.api.directory.pick({
    tenant,
    blockId,
    sessionId: 's',
    waitMs,
    signal: AbortSignal.timeout(30_000),
  });

async function ask(blockId: string, text: string): Promise<{ text: string; pid: number }> {
  const route = await pick(blockId);
  const peerId = 'driver-test';
  const ticket = mintTicket(route.secret, peerId);
  const connection = connectInstance({ address: route.address, peerId, ticket });
  try {
    const packet = {
      ...{ sessionId: 's', sequence: Math.floor(Math.random() * 1e9), createdAtMs: Date.now() },
      ...{ data: { text }, tensors: {}, files: [] },
    };
    const options = { deadlineMs: Date.now() + 20_000, signal: AbortSignal.timeout(20_000) };
    for await (const { final, packet: answer } of connection.infer(packet, options)) {
      if (final) return answer.data as { text: string; pid: number };
    }
    throw new Error('no answer');
  } finally {
    connection.close();
    route.release();
  }
}

async function logsOf(instanceId: string): Promise<readonly string[]> {
  const options = { tail: 100, follow: false, signal: AbortSignal.timeout(10_000) };
  const lines: string[] = [];
  for await (const line of plane.api.logs(tenant, { instanceId }, options)) lines.push(line);
  return lines;
}

const promised = async () => {
  const { clusters } = await plane.status();
  return clusters.flatMap(({ nodes }) =>
    nodes.map(({ capacity, free }) => capacity.memoryBytes - free.memoryBytes),
  );
};

test('a declared block runs as a process of its own, answers, and goes when it is deleted', async () => {
  await plane.declare();
  const created = await plane.api.create(
    tenant,
    'block',
    block('ocr', { settings: { greeting: 'hi' } }),
  );
  expect(created).toMatchObject({ kind: 'block', id: 'ocr' });

  expect(await ask('ocr', 'you')).toMatchObject({ text: 'hi you' });

  const status = await running('ocr');
  const [instance] = status.instances;
  expect(status).toMatchObject({ clusterId: 'home' });
  expect(instance).toMatchObject({ state: 'ready', restarts: 0, outstandingRequests: 0 });
  expect(instance!.residentBytes).toBeGreaterThan(10e6);
  expect((await plane.processes()).map(({ pid }) => pid)).toEqual([instance!.pid]);
  expect((await promised()).sort()).toEqual([0, 100 * 2 ** 20]);

  await plane.api.delete(tenant, 'block', 'ocr');

  expect(await plane.processes()).toEqual([]);
  expect(await promised()).toEqual([0, 0]);
  await expect(plane.block('ocr')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(pick('ocr')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('the decision behind a placement can be read, newest first', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  await running('ocr');

  const decisions = await plane.api.explain(tenant, 'ocr');

  expect(decisions).toHaveLength(1);
  expect(decisions[0]).toMatchObject({
    outcome: 'placed',
    reason: 'create',
    plan: { clusterId: 'home' },
  });
  expect(decisions[0]!.candidates.length).toBeGreaterThan(0);
  await expect(plane.api.explain(tenant, 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a dry run explains and starts nothing', async () => {
  await plane.declare();

  const decision = await plane.api.dryRunBlock(tenant, block('ocr'));

  expect(decision).toMatchObject({ outcome: 'dry-run', plan: { clusterId: 'home' } });
  expect(await promised()).toEqual([0, 0]);
  expect(await plane.api.list(tenant, 'block')).toEqual([]);
  expect(await plane.processes()).toEqual([]);
});

test('several instances share the requests, and the load balancer sees how many each has', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2 }));
  await running('ocr', 2);

  const routes = await Promise.all([pick('ocr'), pick('ocr')]);

  const outstanding = (await plane.block('ocr')).instances.map((i) => i.outstandingRequests);
  expect(outstanding.reduce((sum, count) => sum + count)).toBe(2);
  for (const { release } of routes) release();
  for (const { release } of routes) release();
  const after = (await plane.block('ocr')).instances.map((i) => i.outstandingRequests);
  expect(after).toEqual([0, 0]);
  const one = await pick('ocr');
  const other = await pick('ocr');
  expect(one.instanceId).not.toBe(other.instanceId);
});

test('a killed instance is replaced, and the ledger follows', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  const [before] = (await running('ocr')).instances;

  process.kill(before!.pid!, 'SIGKILL');

  const [after] = await eventually('another instance', async () => {
    const { state, instances } = await plane.block('ocr');
    return state === 'running' && instances[0]?.id !== before!.id && instances;
  });
  expect(after).toMatchObject({ restarts: 1 });
  expect(await ask('ocr', 'again')).toMatchObject({ pid: after!.pid });
  expect((await promised()).sort()).toEqual([0, 100 * 2 ** 20]);
  expect(await plane.api.explain(tenant, 'ocr')).toMatchObject([
    { reason: 'heal' },
    { reason: 'create' },
  ]);

  // In the log of each, for who reads only those, and in the control plane's.
  const killed = `instance '${before!.id}' was killed by SIGKILL`;
  const replaced = `instance '${after!.id}' is ready on home/${after!.nodeId} in place of '${before!.id}', `;
  const told = await eventually('the line', async () =>
    (await logsOf(after!.id)).find((line) => line.startsWith('[aios] ')),
  );
  expect(told).toContain(`[aios] ${replaced}`);
  expect(await logsOf(before!.id)).toContainEqual(expect.stringContaining(`[aios] ${killed}`));
  expect(plane.log.filter((line) => line.startsWith("block 'ocr': "))).toEqual([
    expect.stringContaining(killed),
    expect.stringMatching(new RegExp(`${replaced}.* after that failed: ${killed}`)),
  ]);
  expect(plane.log.join()).not.toContain('its last line');
});

test('an instance that says it is unhealthy is replaced', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  const [before] = (await running('ocr')).instances;

  await ask('ocr', 'be sick');

  await eventually('another instance', async () => {
    const { state, instances } = await plane.block('ocr');
    return state === 'running' && instances[0]?.id !== before!.id;
  });
});

test('an instance that a caller saw fail is not given out until it reports again', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  const [instance] = (await running('ocr')).instances;

  plane.api.directory.report(instance!.id, new Error('connection reset'));

  await expect(pick('ocr', 0)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  const route = await pick('ocr');
  expect(route.instanceId).toBe(instance!.id);
});

test('an instance that hangs is replaced, once a caller complains', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  const [before] = (await running('ocr')).instances;
  process.kill(before!.pid!, 'SIGSTOP');

  plane.api.directory.report(before!.id, new Error('no answer'));

  await eventually('another instance', async () => {
    const { state, instances } = await plane.block('ocr');
    return state === 'running' && instances[0]?.id !== before!.id;
  });
});

test('code that was damaged on disk is not run; uploading it again heals the block', async () => {
  await plane.declare();
  const code = readFileSync(await plane.api.artifacts.path(await plane.code()));
  writeFileSync(await plane.api.artifacts.path(hashOf(code)), 'process.exit(0)');
  await plane.api.create(tenant, 'block', block('ocr'));
  await eventually('the reason', async () => (await plane.block('ocr')).reason?.includes('hash'));

  await plane.upload(code);

  await running('ocr');
});

test('a block whose code fails says why, is tried again with pauses, and can be deleted meanwhile', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('bad', { settings: { failAtStart: true } }));

  const status = await eventually('a second try', async () => {
    const found = await plane.block('bad');
    return found.instances.some(({ restarts }) => restarts >= 1) && found;
  });

  expect(status.reason).toContain('told to fail');
  await expect(pick('bad', 0)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  await plane.api.delete(tenant, 'block', 'bad');
  expect(await plane.processes()).toEqual([]);
  expect(await promised()).toEqual([0, 0]);
});

test('a block without a place waits, says why, and starts when there is room', async () => {
  await plane.declare();
  await plane.api.create(
    tenant,
    'block',
    block('large', { resources: { memoryBytes: '250Mi' }, minInstances: 2 }),
  );
  await plane.api.create(tenant, 'block', block('late'));

  const waiting = await eventually('a refusal', async () => {
    const status = await plane.block('late');
    return status.decisionId !== undefined && status;
  });
  expect(waiting).toMatchObject({ state: 'pending', instances: [] });
  expect(waiting.reason).toMatch(/late/);

  await plane.api.delete(tenant, 'block', 'large');

  await running('late');
  const outcomes = (await plane.api.explain(tenant, 'late')).map(({ outcome }) => outcome);
  expect(outcomes).toEqual(['placed', 'refused']);
});

test('a block that is replaced runs what it now says', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { settings: { greeting: 'hi' } }));
  expect(await ask('ocr', 'you')).toMatchObject({ text: 'hi you' });

  await plane.api.create(tenant, 'block', block('ocr', { settings: { greeting: 'ho' } }), {
    replace: true,
  });

  await eventually('the new greeting', async () => {
    // A request that met the old instance on its way out is told to ask again.
    const answer = await ask('ocr', 'you').catch((error) => error.code);
    return answer.text === 'ho you';
  });
  await eventually('the old one is gone', async () => {
    return (await running('ocr')).instances.length === 1;
  });
});

test('the only instance of a block that is replaced serves until the new one does, where there is room', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { settings: { greeting: 'hi' } }));
  const [old] = (await running('ocr')).instances;
  let fewest = 1;
  const stop = plane.api.watch(tenant, () => {
    void plane.block('ocr').then(({ instances }) => {
      fewest = Math.min(fewest, instances.filter(({ state }) => state === 'ready').length);
    });
  });

  await plane.api.create(tenant, 'block', block('ocr', { settings: { greeting: 'ho' } }), {
    replace: true,
  });
  await eventually('only the new one is there', async () => {
    const { instances } = await plane.block('ocr');
    return instances.length === 1 && instances[0]?.id !== old?.id;
  });
  stop();

  expect(fewest).toBe(1);
  expect(await ask('ocr', 'you')).toMatchObject({ text: 'ho you' });
});

test('a block that is replaced by what cannot start does not wait for it for ever', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { settings: { greeting: 'hi' } }));
  const [old] = (await running('ocr')).instances;

  await plane.api.create(tenant, 'block', block('ocr', { settings: { failAtStart: true } }), {
    replace: true,
  });
  await eventually('the old one is gone and the block says why', async () => {
    const { instances, reason } = await plane.block('ocr');
    return instances.every(({ id }) => id !== old?.id) && /told to fail/.test(reason ?? '');
  });
});

test('a block of something this runtime cannot run is warned of, refused in a dry run, waits and says so', async () => {
  await plane.declare();
  const container = await plane.api.create(tenant, 'component', {
    ...{ uri: 'test.container:1.0.0-stable', componentType: 'test', name: 'container' },
    ...{ version: '1.0.0', releaseTag: 'stable', container: { image: 'ubuntu' } },
  });
  const document = block('c', { componentUri: 'test.container:1.0.0-stable' });
  const decision = await plane.api.dryRunBlock(tenant, document);
  const created = await plane.api.create(tenant, 'block', document);

  expect(container.warnings).toMatchObject([{ path: '$.container' }]);
  expect(decision).toMatchObject({
    outcome: 'refused',
    candidates: [{ clusterId: 'home', seen: 'local', chosen: false }],
  });
  expect(created.warnings).toMatchObject([{ path: '$.componentUri' }]);
  await eventually('the reason', async () =>
    (await plane.block('c')).reason?.includes('container'),
  );
});

test('logs of a block hold what its instances wrote', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2 }));
  const { instances } = await running('ocr', 2);
  const lines: string[] = [];

  const { signal } = new AbortController();
  const logs = (follow: boolean) =>
    plane.api.logs(tenant, { blockId: 'ocr' }, { tail: 10, follow, signal });
  for await (const line of logs(false)) lines.push(line);

  for (const { id } of instances) {
    expect(
      lines.filter((line) => line.startsWith(id) && line.includes('starting with hello')),
    ).toHaveLength(1);
  }
  for await (const _ of logs(true)) break;
  expect(waitersOf(signal)).toBe(0);
});

test('close during a start ends everything', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 4 }));
  await eventually('a process', async () => (await plane.processes()).length > 0);

  await plane.down();

  expect(await plane.processes()).toEqual([]);
});

test('a policy that is uploaded places blocks, and stays while one uses it', async () => {
  await plane.declare();
  const code = await bundle(`
    import { definePolicy } from 'aios-sdk';
    import { z } from 'zod';
    export default definePolicy({
      hook: 'loadBalancer', name: 'last', version: '1.0.0', description: 'The last one.',
      parameters: z.object({}), settings: z.object({}),
      evaluate: ({ instances }) => ({ instanceId: instances[instances.length - 1].id }),
    });`);
  const uri = 'last:1.0.0-stable';
  const policy = {
    ...{ uri, name: 'last', version: '1.0.0', releaseTag: 'stable', hook: 'loadBalancer' },
    artifact: { hash: await plane.upload(code) },
  };
  await plane.api.create(tenant, 'policy', policy);
  const policies = { loadBalancer: { policyRuleURI: uri } };
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2, policies }));
  await running('ocr', 2);

  const routes = [await pick('ocr'), await pick('ocr'), await pick('ocr')];

  expect(new Set(routes.map(({ instanceId }) => instanceId)).size).toBe(1);
  await expect(plane.api.delete(tenant, 'policy', uri)).rejects.toMatchObject({ code: 'IN_USE' });
  expect(hashOf(code)).toBe(policy.artifact.hash);
});

test('a cluster cannot go or lose nodes while instances run there', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 4 }));
  await running('ocr', 4);

  await expect(plane.api.delete(tenant, 'cluster', 'home')).rejects.toMatchObject({
    code: 'IN_USE',
    details: { by: ["block 'ocr'"] },
  });
  const smaller = { id: 'home', nodes: [node('n1')] };
  await expect(
    plane.api.create(tenant, 'cluster', smaller, { replace: true }),
  ).rejects.toMatchObject({ code: 'IN_USE' });

  await plane.api.delete(tenant, 'block', 'ocr');
  await plane.api.create(tenant, 'cluster', smaller, { replace: true });
  await plane.api.delete(tenant, 'cluster', 'home');
  expect((await plane.status()).clusters).toEqual([]);
});

test('a block that is being deleted cannot be replaced meanwhile, and can be made anew after', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  await running('ocr');

  const deleted = plane.api.delete(tenant, 'block', 'ocr');
  // At once: what changes documents goes one after the other, and instances take their time to end.
  await expect(
    plane.api.create(tenant, 'block', block('ocr'), { replace: true }),
  ).rejects.toMatchObject({ code: 'IN_USE' });
  await Promise.all([deleted, plane.api.delete(tenant, 'block', 'ocr').catch(() => undefined)]);

  await plane.api.create(tenant, 'block', block('ocr'));
  await running('ocr');
});

test('what policies kept of a block goes with it', async () => {
  await plane.declare();
  const policies = { loadBalancer: { policyRuleURI: 'round-robin:1.0.0-stable' } };
  await plane.api.create(tenant, 'block', block('ocr', { minInstances: 2, policies }));
  await running('ocr', 2);
  for (let at = 0; at < 3; at += 1) (await pick('ocr')).release();

  await plane.api.delete(tenant, 'block', 'ocr');
  await plane.down();

  const store = createSqliteStore(join(plane.dataDirectory, 'aios.db'));
  const states = await store.list(tenant, 'policy-state');
  await store.close();
  expect(states.filter(({ id }) => id.endsWith('@block/ocr'))).toEqual([]);
});

test('no answer holds the secret of an instance, and another tenant sees nothing', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('ocr'));
  const { instances } = await running('ocr');
  const route = await pick('ocr');
  route.release();

  const answers = [
    await plane.status(),
    await plane.block('ocr'),
    await plane.api.explain(tenant, 'ocr'),
    await plane.api.list(tenant, 'block'),
    plane.log,
  ];
  expect(route.secret).toMatch(/^[0-9a-f]{64}$/);
  for (const answer of answers) expect(JSON.stringify(answer)).not.toContain(route.secret);

  const stranger = await plane.api.status('stranger');
  expect([stranger.blocks, stranger.clusters, stranger.vdags]).toEqual([[], [], []]);
  await expect(plane.api.explain('stranger', 'ocr')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const options = { tail: 1, follow: false, signal: AbortSignal.timeout(10_000) };
  const lines = plane.api.logs('stranger', { instanceId: instances[0]!.id }, options);
  await expect(lines[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('two tenants may each have a cluster of one name', async () => {
  await plane.declare();
  const small = { id: 'home', nodes: [node('n1', '16Mi')] };
  await plane.api.create('stranger', 'cluster', small);

  await plane.api.create(tenant, 'block', block('ocr'));
  await running('ocr');

  const [mine] = (await plane.status()).clusters;
  const [theirs] = (await plane.api.status('stranger')).clusters;
  expect(mine?.nodes).toHaveLength(2);
  expect(theirs?.nodes.map(({ free }) => free.memoryBytes)).toEqual([16 * 2 ** 20]);
  await plane.api.delete('stranger', 'cluster', 'home');
  expect((await plane.status()).clusters[0]?.nodes).toHaveLength(2);
});
