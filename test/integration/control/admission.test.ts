import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PreCheckAction } from '../../../sdk/hooks.ts';
import { eventually } from '../../support/system.ts';
import { DecidingPlane, told } from './deciding.ts';
import { tenant } from './plane.ts';

let plane: DecidingPlane;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
});
afterEach(() => plane.remove());

const check = (parameters: Record<string, unknown> = {}) => ({
  policyRuleURI: told('told-check'),
  parameters,
});
const setNetwork = (action: PreCheckAction, parameters: Record<string, unknown>) =>
  plane.control.patchNetwork(tenant, { preChecks: { [action]: check(parameters) } });

const running = (id: string, instances = 1) =>
  eventually(`block ${id} runs`, async () => {
    const status = await plane.block(id);
    return status.state === 'running' && status.instances.length === instances && status;
  });

const vdag = { uri: 'pair:1.0.0-stable', nodes: [{ label: 'a', blockId: 'ocr' }] };
const extra = { id: 'n3', memoryBytes: '1Gi', cpuCores: 2 };
const clusterWith = async (...nodes: object[]) => {
  const found = (await plane.api.get(tenant, 'cluster', 'sim')) as { spec: { nodes: object[] } };
  return { ...found.spec, nodes: [...found.spec.nodes, ...nodes] };
};

/** Each action as a user does it, on a plane where block `ocr` and vDAG `pair` are. */
const actions: Readonly<Record<PreCheckAction, () => Promise<unknown>>> = {
  add_cluster: () => plane.api.create(tenant, 'cluster', { id: 'new', nodes: [] }),
  update_cluster: async () =>
    plane.api.create(
      tenant,
      'cluster',
      { ...(await clusterWith()), tags: ['x'] },
      { replace: true },
    ),
  remove_cluster: () => plane.api.delete(tenant, 'cluster', 'sim'),
  add_node: () => plane.control.addNode(tenant, 'sim', extra),
  remove_node: () => plane.control.removeNode(tenant, 'sim', 'n2'),
  add_block: () => plane.api.create(tenant, 'block', plane.box('new')),
  remove_block: () => plane.api.delete(tenant, 'block', 'ocr'),
  scale_block: () => plane.control.scale(tenant, 'ocr', { instances: 2 }),
  block_mgmt: () => plane.control.admitManagement(tenant, 'block/ocr', { command: 'reset' }),
  cluster_mgmt: () => plane.control.admitManagement(tenant, 'cluster/sim', { command: 'reset' }),
  add_vdag_controller: () => plane.api.create(tenant, 'vdag', { ...vdag, uri: 'new:1.0.0-stable' }),
  remove_vdag_controller: () => plane.api.delete(tenant, 'vdag', vdag.uri),
};

async function populate(): Promise<void> {
  await plane.api.create(tenant, 'block', plane.box('ocr'));
  await running('ocr');
  await plane.api.create(tenant, 'vdag', vdag);
}

describe('every action that changes something', () => {
  test.each(Object.keys(actions) as PreCheckAction[])(
    '%s is refused by the network, and nothing is changed',
    async (action) => {
      await populate();
      await setNetwork(action, { refuse: 'not today' });
      const before = await plane.status();

      await expect(actions[action]()).rejects.toMatchObject({
        code: 'ADMISSION_DENIED',
        message: expect.stringMatching(/told-check:1\.0\.0-stable.*not today/s),
        details: { action, policyUri: told('told-check'), level: 'network', reason: 'not today' },
      });
      const after = await plane.status();
      const shape = ({ clusters, blocks, vdags }: typeof after) => [
        clusters.map(({ spec }) => spec),
        blocks.map(({ spec, instances }) => [spec, instances.length]),
        vdags.map(({ spec }) => spec),
      ];
      expect(shape(after)).toEqual(shape(before));
      expect(plane.asked.map((one) => one.action)).toEqual([action]);
      const [decision] = await plane.decisions('admission');
      expect(decision).toMatchObject({ outcome: 'refused', policies: [told('told-check')] });
    },
  );

  test('goes on unasked where no policy is configured: nothing is evaluated, nothing recorded', async () => {
    await populate();
    await actions.add_node();
    await actions.update_cluster();
    await actions.remove_node();
    await actions.scale_block();
    await actions.block_mgmt();
    await actions.cluster_mgmt();
    await actions.remove_vdag_controller();
    await actions.remove_block();
    await actions.remove_cluster();

    expect(plane.asked).toEqual([]);
    expect(await plane.decisions('admission')).toEqual([]);
  });

  test('a policy that fails refuses', async () => {
    await setNetwork('add_block', { fail: true });

    await expect(actions.add_block()).rejects.toMatchObject({
      code: 'ADMISSION_DENIED',
      message: expect.stringContaining('told to fail'),
    });
  });
});

describe('rewriting', () => {
  test('of a block, a cluster, a node, a scale, a vDAG and a command is done', async () => {
    await setNetwork('add_block', { merge: { tags: ['checked'] } });
    await setNetwork('update_cluster', { merge: { regionId: 'eu-9' } });
    await setNetwork('add_node', { merge: { tags: ['approved'], cpuCores: 3 } });
    await setNetwork('scale_block', { merge: { instances: 3 } });
    await setNetwork('add_vdag_controller', { merge: { tags: ['seen'] } });
    await setNetwork('block_mgmt', { merge: { safe: true } });
    await populate();

    expect((await plane.block('ocr')).spec.tags).toEqual(['checked']);
    expect(await plane.api.get(tenant, 'vdag', vdag.uri)).toMatchObject({
      spec: { tags: ['seen'] },
    });
    await actions.update_cluster();
    const { spec } = await plane.control.addNode(tenant, 'sim', extra);
    expect(spec).toMatchObject({ regionId: 'eu-9', tags: ['x'] });
    expect(spec.nodes.at(-1)).toMatchObject({ id: 'n3', tags: ['approved'], cpuCores: 3 });
    expect(await actions.scale_block()).toMatchObject({ instances: 3 });
    await running('ocr', 3);
    expect(await actions.block_mgmt()).toEqual({ command: 'reset', safe: true });
    const outcomes = (await plane.decisions('admission')).map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(['rewritten']));
  });

  test('into what cannot be read refuses, and says what is wrong', async () => {
    await setNetwork('add_block', { merge: { minInstances: 'many' } });

    await expect(actions.add_block()).rejects.toMatchObject({
      code: 'ADMISSION_DENIED',
      problems: [expect.objectContaining({ path: '$.minInstances' })],
    });
    expect((await plane.status()).blocks).toEqual([]);
  });

  test('of what is removed, or of a number past the limits, refuses', async () => {
    await populate();
    await setNetwork('remove_block', { merge: { blockId: 'another' } });
    await setNetwork('scale_block', { merge: { instances: 99 } });

    await expect(actions.remove_block()).rejects.toMatchObject({ code: 'ADMISSION_DENIED' });
    await expect(actions.scale_block()).rejects.toMatchObject({
      code: 'ADMISSION_DENIED',
      message: expect.stringMatching(/1 \(minInstances\) to 4 \(maxInstances\)/),
    });
  });
});

describe('levels', () => {
  test('the cluster is asked after the network, with what the network made of it', async () => {
    await setNetwork('update_cluster', { merge: { metadata: { by: 'network' } } });
    await plane.api.create(
      tenant,
      'cluster',
      { ...(await clusterWith()), preChecks: { update_cluster: check({ refuse: 'frozen' }) } },
      { replace: true },
    );
    plane.asked.length = 0;

    await expect(actions.update_cluster()).rejects.toMatchObject({
      details: { level: 'cluster', reason: 'frozen' },
    });
    expect(plane.asked).toMatchObject([
      { input: { level: 'network' } },
      {
        input: { level: 'cluster', input: { metadata: { by: 'network' } }, cluster: { id: 'sim' } },
      },
    ]);
  });

  test('an AIOS cluster keeps its checks in config.actionsPolicyMap, as a URI or a reference', async () => {
    await plane.api.create(tenant, 'cluster', {
      id: 'aios',
      config: {
        actionsPolicyMap: {
          remove_cluster: told('told-check'),
          update_cluster: check({ refuse: 'frozen' }),
        },
      },
    });

    await expect(
      plane.api.create(tenant, 'cluster', { id: 'aios' }, { replace: true }),
    ).rejects.toMatchObject({ details: { reason: 'frozen' } });
    await plane.api.delete(tenant, 'cluster', 'aios');
    expect(plane.asked.map(({ action }) => action)).toEqual(['update_cluster', 'remove_cluster']);
  });

  test('nodes that come and go with a replacement are checked one by one', async () => {
    await setNetwork('add_node', {});
    await setNetwork('remove_node', {});
    const document = { ...(await clusterWith(extra)), nodes: [extra, { ...extra, id: 'n4' }] };
    await plane.api.create(tenant, 'cluster', document, { replace: true });

    expect(
      plane.asked.map(({ action, input }) => [action, (input as { input: object }).input]),
    ).toEqual([
      ['remove_node', { clusterId: 'sim', nodeId: 'n1' }],
      ['remove_node', { clusterId: 'sim', nodeId: 'n2' }],
      ['add_node', expect.objectContaining({ id: 'n3' })],
      ['add_node', expect.objectContaining({ id: 'n4' })],
    ]);
  });
});

test('a cluster that does not want a block is refused as a candidate; another takes it', async () => {
  const { spec } = (await plane.api.get(tenant, 'cluster', 'sim')) as { spec: object };
  const preChecks = { add_block: check({ refuse: 'no boxes here' }) };
  await plane.api.create(tenant, 'cluster', { ...spec, preChecks }, { replace: true });
  await plane.api.create(tenant, 'block', plane.box('ocr'));
  await eventually('it waits', async () => (await plane.block('ocr')).reason);
  const [refused] = await plane.api.explain(tenant, 'ocr');
  expect(refused).toMatchObject({
    outcome: 'refused',
    candidates: [
      {
        clusterId: 'sim',
        refusedBy: "add_block of 'told-check:1.0.0-stable'",
        seen: 'no boxes here',
      },
    ],
    evaluations: [{ hook: 'preCheck', action: 'add_block' }],
  });

  await plane.api.create(tenant, 'cluster', { ...spec, id: 'other' });
  expect((await running('ocr')).clusterId).toBe('other');
  plane.asked.length = 0;
  await plane.control.scale(tenant, 'ocr', { instances: 2 });
  await running('ocr', 2);
  expect(plane.asked).toEqual([]);
});

describe('the network document', () => {
  test('a patch sets what it names, null removes, the rest stays; and a restart keeps it', async () => {
    await setNetwork('add_block', { refuse: 'no' });
    await setNetwork('remove_block', {});
    await plane.control.patchNetwork(tenant, {
      policies: { loadBalancer: { policyRuleURI: 'round-robin:1.0.0-stable' } },
      preChecks: { create_cluster: check({ refuse: 'no more' }), remove_block: null },
    });
    await plane.down();
    await plane.up();

    const network = plane.control.network(tenant);
    expect(Object.keys(network.preChecks).sort()).toEqual(['add_block', 'add_cluster']);
    expect(network.policies.loadBalancer?.policyRuleURI).toBe('round-robin:1.0.0-stable');
    await expect(actions.add_block()).rejects.toMatchObject({ code: 'ADMISSION_DENIED' });
    await expect(actions.add_cluster()).rejects.toMatchObject({ code: 'ADMISSION_DENIED' });
  });

  test('what is wrong with it is said at once, with the nearest names, and nothing is kept', async () => {
    await expect(
      plane.control.patchNetwork(tenant, {
        preChecks: { ad_block: check(), scale_block: 'nobody:1.0.0-stable' },
        policies: { autoscalr: { policyRuleURI: 'hold:1.0.0-stable' } },
      }),
    ).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: expect.arrayContaining([
        expect.objectContaining({ path: '$.preChecks.ad_block', nearest: 'add_block' }),
        expect.objectContaining({ nearest: 'autoscaler' }),
      ]),
    });
    await expect(
      plane.control.patchNetwork(tenant, { preChecks: { scale_block: 'nobody:1.0.0-stable' } }),
    ).rejects.toMatchObject({ problems: [expect.objectContaining({ seen: expect.anything() })] });
    await expect(
      plane.control.patchNetwork(tenant, { preChecks: { remove_blok: null } }),
    ).rejects.toMatchObject({ problems: [expect.objectContaining({ nearest: 'remove_block' })] });
    expect(plane.control.network(tenant).preChecks).toEqual({});
  });

  test('two patches at once both count', async () => {
    await Promise.all([setNetwork('add_block', {}), setNetwork('remove_block', {})]);

    expect(Object.keys(plane.control.network(tenant).preChecks)).toHaveLength(2);
  });
});

test('a pre-check is asked without the action being done', async () => {
  await populate();
  await setNetwork('add_block', { merge: { tags: ['t'] } });
  await setNetwork('remove_block', { refuse: 'keep it' });

  expect(await plane.control.preCheck(tenant, 'create_block', plane.box('new'))).toMatchObject({
    allowed: true,
    asked: [told('told-check')],
    input: { id: 'new', tags: ['t'] },
  });
  expect(await plane.control.preCheck(tenant, 'remove_block', { blockId: 'ocr' })).toMatchObject({
    allowed: false,
    reason: 'keep it',
  });
  expect(await plane.control.preCheck(tenant, 'scale_block', { blockId: 'ocr' })).toEqual({
    action: 'scale_block',
    allowed: true,
    asked: [],
  });
  await expect(plane.control.preCheck(tenant, 'ad_block', {})).rejects.toMatchObject({
    message: expect.stringContaining("Did you mean 'add_block'?"),
  });
  expect((await plane.status()).blocks.map(({ spec }) => spec.id)).toEqual(['ocr']);
});

test('a document of a template is made into ours by its policy', async () => {
  const templated = { header: { templateUri: 'Small/V1' }, body: { id: 'tiny' } };
  await expect(plane.api.create(tenant, 'block', templated)).rejects.toMatchObject({
    code: 'SPEC_INVALID',
    problems: [expect.objectContaining({ path: '$.header.templateUri' })],
  });
  await plane.control.patchNetwork(tenant, { templates: { 'Small/V1': told('small-block') } });
  await expect(
    plane.api.create(tenant, 'block', { ...templated, header: { templateUri: 'Smal/V1' } }),
  ).rejects.toMatchObject({ problems: [expect.objectContaining({ nearest: 'Small/V1' })] });

  expect(await plane.api.create(tenant, 'block', templated)).toMatchObject({ id: 'tiny' });
  await running('tiny');
  expect(await plane.decisions('template')).toMatchObject([{ outcome: 'answered' }]);
});
