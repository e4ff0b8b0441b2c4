import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { run } from '../../../cli/run.ts';
import { builtinPolicies } from '../../../policies/index.ts';
import type { Gateway } from '../../../runtime/index.ts';
import type { PolicyJob } from '../../../sdk/client/control.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { eventually } from '../../support/system.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { bundle, Plane, tenant } from './plane.ts';

const source = `
import { definePolicy } from 'aios-sdk';
export default definePolicy({
  hook: 'function', name: 'work', version: '1.0.0', description: 'Works as long as it is told.',
  evaluate({ input }, { log }) {
    if (input.forever) for (;;);
    if (input.fail) throw new Error('told to fail');
    log('worked');
    return { output: { doubled: input.n * 2 } };
  },
});`;
const uri = 'work:1.0.0-stable';

const strict = definePolicy({
  hook: 'resourceEstimator',
  name: 'strict',
  version: '1.0.0',
  description: 'Admits nothing.',
  parameters: z.object({}),
  evaluate: () => ({ allowed: false, reason: 'not on my machines' }),
});

let plane: Plane;
let gateway: Gateway;
const up = async () => {
  await plane.up({ policies: [...builtinPolicies, strict] });
  gateway = await plane.serve();
};
beforeEach(async () => {
  plane = new Plane();
  await up();
  const hash = await plane.upload(await bundle(source));
  await plane.api.create(tenant, 'policy', { uri, hook: 'function', artifact: { hash } });
});
afterEach(async () => {
  await gateway.close();
  await plane.remove();
});

const jobs = () => {
  const { control } = plane.api;
  if (!control) throw new Error('no control services');
  return control.jobs;
};
const submit = (input: object, more: object = {}) =>
  jobs().submit(tenant, { policyRuleURI: uri, input, ...more });
const whenOver = (id: string): Promise<PolicyJob> =>
  eventually(`job ${id} is over`, async () => {
    const job = await jobs().get(tenant, id);
    return job.status !== 'queued' && job.status !== 'running' && job;
  });
async function aios(...words: string[]) {
  const io = fakeIo({ env: { AIOS_URL: gateway.url, NO_COLOR: '1' } });
  const code = await run(words, io);
  return { code, out: io.output(), err: io.errors() };
}

describe('a policy job', () => {
  test('runs once, and what came of it is kept across a restart', async () => {
    const { id } = await submit({ n: 21 });
    expect(await whenOver(id)).toMatchObject({
      ...{ status: 'completed', output: { doubled: 42 }, logs: ['worked'], attempts: 1 },
    });
    await gateway.close();
    await plane.down();
    await up();
    expect(await jobs().get(tenant, id)).toMatchObject({ status: 'completed' });
  });

  test('that fails says why', async () => {
    const { id } = await submit({ fail: true });
    expect(await whenOver(id)).toMatchObject({
      ...{ status: 'failed', error: { code: 'POLICY_THREW' } },
    });
  });

  test('past its time is ended', async () => {
    const { id } = await submit({ forever: true }, { timeLimitMs: 200 });
    expect(await whenOver(id)).toMatchObject({ error: { code: 'POLICY_TIMEOUT' } });
  });

  test('is cancelled while it runs or waits, and forgotten once it ended', async () => {
    const all = await Promise.all(
      Array.from({ length: 6 }, () => submit({ forever: true }, { timeLimitMs: 600_000 })),
    );
    await eventually('four run', async () => {
      const states = (await jobs().list(tenant)).map(({ status }) => status);
      return states.filter((one) => one === 'running').length === 4;
    });
    for (const { id } of all) {
      expect(await jobs().cancel(tenant, id)).toMatchObject({ status: 'cancelled' });
    }
    for (const { id } of all) await jobs().cancel(tenant, id);
    expect(await jobs().list(tenant)).toEqual([]);
  });

  test('that the end of the control plane broke off begins anew', async () => {
    const { id } = await submit({ forever: true }, { timeLimitMs: 600_000 });
    await eventually('it runs', async () => (await jobs().get(tenant, id)).status === 'running');
    await gateway.close();
    await plane.down();
    await up();
    await eventually('it runs again', async () => (await jobs().get(tenant, id)).attempts === 2);
    expect(await jobs().cancel(tenant, id)).toMatchObject({ status: 'cancelled', attempts: 2 });
  });

  test('is not run where the resource estimator refuses it', async () => {
    await plane.api.create(tenant, 'cluster', {
      ...{ id: 'home', nodes: [{ id: 'n1', memoryBytes: '1Gi', cpuCores: 1 }] },
    });
    await plane.api.control?.patchNetwork(tenant, {
      policies: { resourceEstimator: { policyRuleURI: 'strict:1.0.0-stable' } },
    });
    const { id } = await submit({ n: 1 });
    expect(await whenOver(id)).toMatchObject({
      ...{ status: 'failed', error: { code: 'ADMISSION_DENIED' } },
    });
  });

  test("is taken in AIOS's form, and refused with all that is wrong", async () => {
    const { id } = await jobs().submit(tenant, {
      ...{ name: 'x', policy_rule_uri: uri, policy_rule_parameters: {}, inputs: { n: 2 } },
    });
    expect(await whenOver(id)).toMatchObject({ output: { doubled: 4 } });
    await expect(jobs().submit(tenant, { policyRuleURI: 7, wait: true })).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: [{ path: '$.policyRuleURI' }, { path: '$.wait' }],
    });
    await expect(jobs().get(tenant, 'job-none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('is run, listed and cancelled from the command line', async () => {
    expect(await aios('policy', 'run', uri, '--data', '{"n": 4}')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('"doubled": 8') },
    });
    const failed = await aios('policy', 'run', uri, '--data', '{"fail": true}');
    expect(failed).toMatchObject({ code: 5, err: expect.stringContaining('told to fail') });
    const { out } = await aios('policy', 'run', uri, '--data', '{"forever": true}', '--detach');
    const id = out.trim();
    expect(await aios('policy', 'jobs')).toMatchObject({
      code: 0,
      out: expect.stringContaining(id),
    });
    expect(await aios('policy', 'jobs', id, '--cancel')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('"cancelled"') },
    });
    expect((await aios('policy', 'run', uri, '--data', '{n}')).err).toContain('--data is no JSON');
  });
});
