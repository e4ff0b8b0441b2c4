import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../cli/run.ts';
import { eventually } from '../../support/system.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { DecidingPlane, told } from './deciding.ts';
import { tenant } from './plane.ts';

let plane: DecidingPlane;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
});
afterEach(() => plane.remove());

const cordoned = async () =>
  ((await plane.status()).clusters[0]?.cordons ?? []).map(({ nodeId, by }) => `${nodeId} ${by}`);
const sim = async () =>
  ((await plane.api.get(tenant, 'cluster', 'sim')) as { spec: { nodes: { id: string }[] } }).spec;
const replace = async (more: Record<string, unknown>) =>
  plane.api.create(tenant, 'cluster', { ...(await sim()), ...more }, { replace: true });
const checker = (cordon: string[], seconds = 1) => ({
  policies: {
    stabilityChecker: {
      policyRuleURI: told('told-checker'),
      parameters: { cordon },
      settings: { check_interval_sec: seconds },
    },
  },
});
const nodesOf = (id: string, instances: number) =>
  eventually(`${id} runs ${instances}`, async () => {
    const status = await plane.block(id);
    const ready = status.state === 'running' && status.instances.length === instances;
    return ready && [...new Set(status.instances.map(({ nodeId }) => nodeId))];
  });
const restart = async () => {
  await plane.down();
  await plane.up();
};

test('what a stability checker cordoned stays so over a restart, before anybody is asked again', async () => {
  await replace(checker(['n1'], 3600));
  await eventually('it is cordoned', async () => (await cordoned()).length > 0);
  const asked = plane.asked.length;
  await plane.down();
  await plane.up();
  expect(plane.asked).toHaveLength(asked);
  expect(await cordoned()).toEqual(['n1 stabilityChecker']);
  const { clusters } = await plane.status();
  expect(clusters[0]?.nodes.map(({ healthy }) => healthy)).toEqual([false, true]);
});

test('a person’s cordon outlives restarts and checkers, and goes when a person lifts it', async () => {
  await plane.control.cordon(tenant, 'sim', 'n1', { reason: 'a new disk' });
  await restart();
  expect((await plane.status()).clusters[0]?.cordons).toMatchObject([
    { nodeId: 'n1', by: 'operator', reason: 'a new disk' },
  ]);

  await replace(checker(['n2']));
  await eventually('both', async () => (await cordoned()).length === 2);
  // What is asked about is how nodes are, not who cordoned them.
  const [input] = plane.asked.slice(-1).map(({ input: one }) => one);
  expect(input).toMatchObject({ cluster: { nodes: [{ healthy: true }, { healthy: true }] } });
  await replace({ policies: {} });
  await eventually('the checker’s is gone', async () => (await cordoned()).length === 1);
  expect(await cordoned()).toEqual(['n1 operator']);

  await plane.api.create(tenant, 'block', plane.box('ocr', { minInstances: 3 }));
  expect(await nodesOf('ocr', 3)).toEqual(['n2']);
  await plane.control.cordon(tenant, 'sim', 'n2', {});
  await plane.api.create(tenant, 'block', plane.box('late'));
  await eventually('it waits', async () => (await plane.block('late')).reason !== undefined);
  expect(await plane.control.uncordon(tenant, 'sim', 'n1')).toMatchObject({
    cordons: [{ nodeId: 'n2' }],
  });
  expect(await nodesOf('late', 1)).toEqual(['n1']);
  // Those that it had stayed.
  expect(await nodesOf('ocr', 3)).toEqual(['n2']);
});

test('a cordon is forgotten with its node, and with its cluster', async () => {
  const { nodes, ...rest } = await sim();
  await plane.control.cordon(tenant, 'sim', 'n1', {});
  await plane.control.cordon(tenant, 'sim', 'n2', {});
  await replace({ nodes: nodes.filter(({ id }) => id === 'n2') });
  await eventually('one is left', async () => (await cordoned()).length === 1);
  await replace({ nodes });
  expect(await cordoned()).toEqual(['n2 operator']);

  await plane.api.delete(tenant, 'cluster', 'sim');
  await plane.api.create(tenant, 'cluster', { ...rest, nodes });
  expect(await cordoned()).toEqual([]);
  await restart();
  expect(await cordoned()).toEqual([]);
});

test('a pre-check of cluster_mgmt may refuse it, and what is not there is named', async () => {
  const refusing = { policyRuleURI: told('told-check'), parameters: { refuse: 'not by day' } };
  await replace({ preChecks: { cluster_mgmt: refusing } });
  await expect(plane.control.cordon(tenant, 'sim', 'n1', {})).rejects.toMatchObject({
    code: 'ADMISSION_DENIED',
    message: expect.stringContaining('not by day'),
  });
  expect(await cordoned()).toEqual([]);
  expect(plane.asked.at(-1)).toMatchObject({
    input: { input: { clusterId: 'sim', nodeId: 'n1', command: 'cordon' } },
  });
  await expect(plane.control.cordon(tenant, 'sim', 'n11', {})).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining("Did you mean 'n1'?"),
  });
  await expect(plane.control.uncordon(tenant, 'nowhere', 'n1')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect(plane.control.cordon(tenant, 'sim', 'n1', { why: 1 })).rejects.toMatchObject({
    code: 'SPEC_INVALID',
  });
});

const commandLine =
  (url: string) =>
  async (...line: string[]) => {
    const io = fakeIo({ env: { AIOS_URL: url, NO_COLOR: '1' } });
    const code = await run(line, io);
    return { code, out: io.output(), err: io.errors() };
  };

test('a drain for which there is no other place names the command that tells why', async () => {
  const resources = { memoryBytes: '800Mi', cpuCores: 0.1 };
  for (const id of ['one', 'two']) {
    await plane.api.create(tenant, 'block', plane.box(id, { resources }));
    await nodesOf(id, 1);
  }
  const [instance] = (await plane.block('one')).instances;
  const node = instance?.nodeId ?? '';
  const gateway = await plane.serve();
  const aios = commandLine(gateway.url);
  try {
    for (const drain of [['cordon'], ['remove-node']]) {
      const { code, err } = await aios(...drain, 'sim', node, '--drain');
      expect(code).toBe(5);
      expect(err).toContain(`${instance?.id} stays there`);
      expect(err.trim()).toMatch(/See why: aios explain block one$/);
    }
    const told = await aios('explain', 'block', 'one', '--json');
    expect(told).toMatchObject({ code: 0 });
    expect(JSON.parse(told.out)).toMatchObject([{ outcome: 'refused', reason: 'reassign' }]);
  } finally {
    await gateway.close();
  }
});

test('from the command line: cordoned, shown, lifted', async () => {
  const gateway = await plane.serve();
  const aios = commandLine(gateway.url);
  try {
    expect(await aios('cordon', 'sim', 'n1', '--reason', 'new disk')).toMatchObject({
      code: 0,
      out: expect.stringContaining('cordoned in cluster sim: n1'),
    });
    expect((await aios('get', 'clusters')).out).toMatch(/n1 +cordoned: new disk/);
    expect((await aios('get', 'clusters')).out).toMatch(/n2 +healthy/);
    expect(await aios('uncordon', 'sim', 'n1')).toMatchObject({
      out: expect.stringContaining('cordoned in cluster sim: no node'),
    });
    expect((await aios('get', 'clusters')).out).toMatch(/n1 +healthy/);
    expect(await aios('cordon', 'sim', 'n3')).toMatchObject({ code: 3 });
  } finally {
    await gateway.close();
  }
});
