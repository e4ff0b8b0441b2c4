import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../cli/run.ts';
import { type Gateway, startGateway } from '../../../runtime/index.ts';
import { eventually } from '../../support/system.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { echoRunner, FakeDriver } from '../../unit/gateway/fakes.ts';
import { DecidingPlane, told } from './deciding.ts';
import { tenant } from './plane.ts';

let plane: DecidingPlane;
let gateway: Gateway;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
  const driver = new FakeDriver();
  gateway = await startGateway({
    ...{ controlPlane: plane.api, driver, runner: echoRunner },
    log: (line) => plane.log.push(line),
  });
});
afterEach(async () => {
  await gateway.close();
  await plane.remove();
});

async function aios(line: string, input?: unknown) {
  const io = fakeIo({
    env: { AIOS_URL: gateway.url, NO_COLOR: '1' },
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });
  const code = await run(line.split(' '), io);
  return { code, out: io.output(), err: io.errors() };
}

test('the network is set, shown, asked without doing, enforced and unset from the command line', async () => {
  const refusing = { policyRuleURI: told('told-check'), parameters: { refuse: 'not today' } };
  expect(await aios('network get')).toMatchObject({
    out: expect.stringContaining('nothing is set'),
  });
  const set = await aios('network set -', {
    preChecks: { add_block: refusing },
    policies: { loadBalancer: { policyRuleURI: 'round-robin:1.0.0-stable' } },
  });
  expect(set).toMatchObject({ code: 0, out: expect.stringContaining('preChecks.add_block') });
  const box = plane.box('ocr');
  expect(await aios('pre-check add_block -', box)).toMatchObject({
    code: 5,
    out: expect.stringMatching(/refused by the network's told-check:1\.0\.0-stable: not today/),
  });
  // A dry run says what would happen, pre-checks and all.
  expect(await aios('create-block - --dry-run', box)).toMatchObject({
    ...{ code: 5, out: expect.stringMatching(/refused by the network's pre-check.*not today/) },
  });
  const refused = await aios('create-block -', box);
  expect(refused).toMatchObject({ code: 5, err: expect.stringContaining('not today') });
  const answer = await fetch(`${gateway.url}/api/blocks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(box),
  });
  expect([answer.status, ((await answer.json()) as { code: string }).code.toUpperCase()]).toEqual([
    403,
    'ADMISSION_DENIED',
  ]);

  const unset = await aios('network unset preChecks.add_block');
  expect(unset.out).not.toContain('add_block');
  expect(unset.out).toContain('policies.loadBalancer');
  expect(await aios('network unset add_block')).toMatchObject({ code: 2 });
  expect(await aios('pre-check add_block -', box)).toMatchObject({
    code: 0,
    out: expect.stringContaining('nobody is asked'),
  });
  expect(await aios('create-block -', box)).toMatchObject({ code: 0 });
});

test('blocks are scaled, nodes come and go, and things are found from the command line', async () => {
  await plane.api.create(tenant, 'block', plane.box('ocr'));
  await eventually('it runs', async () => (await plane.block('ocr')).state === 'running');

  expect(await aios('scale block ocr 2')).toMatchObject({
    code: 0,
    out: expect.stringContaining('2'),
  });
  expect(await aios('scale block ocr 9')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/from 1 \(minInstances\) to 4 \(maxInstances\)/),
  });
  expect(await aios('scale block ocr')).toMatchObject({ out: expect.stringContaining('held') });
  const node = { id: 'n3', memoryBytes: '1Gi', cpuCores: 2 };
  expect(await aios('add-node sim -', node)).toMatchObject({
    out: expect.stringContaining('3 nodes'),
  });
  expect(
    await aios('add-node sim -', { ...node, id: 'n4', memory: 512, vcpus: { count: 2 } }),
  ).toMatchObject({
    code: 2,
  });
  const aiosNode = {
    id: 'n4',
    memory: 512,
    vcpus: { count: 2 },
    gpus: { count: 0, memory: 0, gpus: [] },
  };
  expect(await aios('add-node sim -', aiosNode)).toMatchObject({ code: 0 });
  expect(await aios('remove-node sim n4')).toMatchObject({ code: 0 });
  expect(await aios('remove-node sim n33')).toMatchObject({
    code: 3,
    err: expect.stringContaining("Did you mean 'n3'?"),
  });
  const filter = { blockQuery: { variable: 'id', operator: '==', value: 'ocr' } };
  const found = await aios('search block - --json', filter);
  expect(JSON.parse(found.out)).toMatchObject({ matched: 1, results: [{ id: 'ocr' }] });
  const allocated = await fetch(`${gateway.url}/api/allocate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"inputs": {}}',
  });
  expect(await allocated.json()).toMatchObject({ answer: { clusterId: 'sim' } });
});
