import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../support/system.ts';
import { DecidingPlane, told } from './deciding.ts';
import { block, tenant } from './plane.ts';

let plane: DecidingPlane;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
});
afterEach(() => plane.remove());

const running = (id: string, instances = 1) =>
  eventually(`block ${id} runs ${instances}`, async () => {
    const status = await plane.block(id);
    return status.state === 'running' && status.instances.length === instances && status;
  });
const scaler = (instances: number, settings: Record<string, unknown> = {}) => ({
  autoscaler: { policyRuleURI: told('told-scaler'), parameters: { instances }, settings },
});
const put = (id: string, more: Record<string, unknown>) =>
  plane.api.create(tenant, 'block', plane.box(id, more), { replace: true });

test('a block is scaled within its limits, keeps its number over a restart, and forgets it when it goes', async () => {
  await put('ocr', {});
  await running('ocr');
  for (const instances of [0, 5, 1.5, -1]) {
    await expect(plane.control.scale(tenant, 'ocr', { instances })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/1 \(minInstances\).*4 \(maxInstances\)/),
    });
  }
  expect(await plane.control.scale(tenant, 'ocr', { instances: 3 })).toMatchObject({
    instances: 3,
  });
  await running('ocr', 3);
  await plane.down();
  await plane.up();
  await running('ocr', 3);
  await plane.control.scale(tenant, 'ocr', { instances: 2 });
  await running('ocr', 2);
  const [last] = await plane.decisions('scaling');
  expect(last).toMatchObject({ outcome: 'changed', message: '3 → 2 instances, by request' });

  // Limits that change afterwards hold.
  await put('ocr', { maxInstances: 1 });
  await running('ocr', 1);
  await plane.api.delete(tenant, 'block', 'ocr');
  await put('ocr', {});
  await running('ocr', 1);
  await expect(plane.control.scale(tenant, 'none', { instances: 1 })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('an autoscaler asks for too many and too few; the platform clamps, and records both numbers', async () => {
  await put('ocr', { policies: scaler(99) });
  await running('ocr');
  const up = await plane.control.autoscale(tenant, 'ocr');
  expect(up).toMatchObject({
    ...{ kind: 'scaling', outcome: 'changed', subject: 'block/ocr' },
    details: { before: 1, asked: 99, instances: 4, minInstances: 1, maxInstances: 4 },
  });
  await running('ocr', 4);
  await put('ocr', { policies: scaler(0) });
  await running('ocr', 4);
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({
    outcome: 'changed',
    details: { before: 4, asked: 0, instances: 1 },
  });
  await running('ocr', 1);
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({ outcome: 'held' });
  expect(plane.asked.at(-1)).toMatchObject({
    input: { block: { id: 'ocr', instances: [{ clusterId: 'sim' }] }, metrics: { id: 'ocr' } },
  });
});

test('a real block goes up and down by its autoscaler, on its own interval', async () => {
  await plane.declare();
  const policies = scaler(2, { intervalSeconds: 1 });
  await plane.api.create(tenant, 'block', block('echo', { policies }));
  await running('echo', 2);
  await plane.api.create(
    tenant,
    'block',
    block('echo', { policies: scaler(1, { intervalSeconds: 1 }) }),
    {
      replace: true,
    },
  );
  await running('echo', 1);

  const decisions = await plane.decisions('scaling');
  expect(decisions.filter(({ outcome }) => outcome === 'changed')).toHaveLength(2);
  // Instances that were coming or going were no time to ask.
  const counts = plane.asked.map(
    ({ input }) => (input as { block: { instances: unknown[] } }).block.instances.length,
  );
  expect(counts.slice(0, 2)).toEqual([1, 2]);
});

test('nobody is asked where no autoscaler is configured; a default of the network or cluster counts', async () => {
  await put('ocr', {});
  await running('ocr');
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({ outcome: 'held' });
  expect(plane.asked).toEqual([]);

  await plane.control.patchNetwork(tenant, { policies: scaler(2) });
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({ details: { asked: 2 } });
  await running('ocr', 2);
  const { spec } = (await plane.api.get(tenant, 'cluster', 'sim')) as { spec: object };
  await plane.api.create(tenant, 'cluster', { ...spec, policies: scaler(3) }, { replace: true });
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({ details: { asked: 3 } });
});

test('an autoscaler says where new instances would best be; devices and unknown nodes are refused', async () => {
  const asking = (assignments: unknown[]) => ({
    autoscaler: {
      policyRuleURI: told('told-scaler'),
      parameters: { instances: 3, assignments },
      settings: {},
    },
  });
  for (const nodeId of ['n1', 'n2']) {
    const id = `on-${nodeId}`;
    await put(id, { policies: asking([{ nodeId }, { nodeId }]) });
    const [first] = (await running(id)).instances;
    expect(await plane.control.autoscale(tenant, id)).toMatchObject({
      ...{ outcome: 'changed', details: { instances: 3, prefer: [nodeId] } },
    });
    const { instances } = await running(id, 3);
    const added = instances.filter((one) => one.id !== first?.id);
    expect(added.map((one) => one.nodeId)).toEqual([nodeId, nodeId]);
  }

  await put('ocr', { policies: asking([{ nodeId: 'n3' }, { nodeId: 'n2', gpus: [0] }]) });
  await running('ocr');
  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({
    outcome: 'failed',
    message: expect.stringMatching(/\$\.assignments\[0\]\.nodeId.*no node 'n3', and 1 more/),
  });
  await running('ocr', 1);
});

test('a scale that a pre-check refuses leaves the block as it is', async () => {
  await put('ocr', { policies: scaler(2) });
  await running('ocr');
  await plane.control.patchNetwork(tenant, {
    preChecks: {
      scale_block: { policyRuleURI: told('told-check'), parameters: { refuse: 'frozen' } },
    },
  });

  expect(await plane.control.autoscale(tenant, 'ocr')).toMatchObject({
    outcome: 'failed',
    message: expect.stringContaining('frozen'),
  });
  await running('ocr', 1);
});

test('a cluster’s stability checker cordons nodes: nothing new goes there until it says otherwise', async () => {
  const { spec } = (await plane.api.get(tenant, 'cluster', 'sim')) as { spec: object };
  const checker = (cordon: string[]) => ({
    ...spec,
    config: {
      stabilityChecker: {
        policyRuleURI: told('told-checker'),
        parameters: { cordon },
        settings: { check_interval_sec: 1 },
      },
    },
  });
  await plane.api.create(tenant, 'cluster', checker(['n1']), { replace: true });
  await eventually('the node is cordoned', async () => {
    const { clusters } = await plane.status();
    return clusters[0]?.nodes.some(({ id, healthy }) => id === 'n1' && !healthy);
  });
  await put('ocr', { minInstances: 3 });
  const { instances } = await running('ocr', 3);
  expect(new Set(instances.map(({ nodeId }) => nodeId))).toEqual(new Set(['n2']));

  await plane.api.create(tenant, 'cluster', { ...checker([]), policies: {} }, { replace: true });
  await eventually('the node is free again', async () => {
    const { clusters } = await plane.status();
    return clusters[0]?.nodes.every(({ healthy }) => healthy);
  });
  const changed = (await plane.decisions('stability')).filter(
    ({ outcome }) => outcome === 'changed',
  );
  expect(changed.map(({ subject }) => subject)).toEqual(['cluster/sim', 'cluster/sim']);
});

test('a block’s stability checker restarts an instance', async () => {
  const first = await put('ocr', {
    policies: {
      stabilityChecker: {
        policyRuleURI: told('told-checker'),
        parameters: { restart: true },
        settings: { check_interval_sec: 1 },
      },
    },
  });
  expect(first.id).toBe('ocr');
  await eventually('it was restarted', async () => {
    const { instances } = await plane.block('ocr');
    return instances.some(({ restarts }) => restarts === 1);
  });
  await running('ocr', 1);
});

test('a failure policy says when a failing block is tried again, and when no more', async () => {
  await plane.declare();
  const failing = {
    settings: { failAtStart: true },
    policies: { failurePolicy: { policyRuleURI: told('told-end') } },
  };
  await plane.api.create(tenant, 'block', block('sad', failing));
  await eventually('it is given up', async () =>
    (await plane.block('sad')).reason?.includes('given up by its failure policy: enough'),
  );
  const counts = plane.asked
    .filter(({ hook }) => hook === 'failurePolicy')
    .map(({ input }) => (input as { failure: { count: number } }).failure.count);
  expect(counts).toEqual([1, 2]);
  expect((await plane.decisions('failure')).map(({ outcome }) => outcome)).toEqual([
    'changed',
    'changed',
  ]);

  await plane.api.create(tenant, 'block', block('sad'), { replace: true });
  await running('sad', 1);
});
