import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../cli/run.ts';
import type { Gateway } from '../../../runtime/index.ts';
import type { PolicyJob } from '../../../sdk/client/control.ts';
import { connect } from '../../../sdk/client/index.ts';
import { eventually } from '../../support/system.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { HttpExecutor } from '../policy/executing.ts';
import { Plane, tenant } from './plane.ts';

const uri = 'far:1.0.0-stable';
const same = 'same-output:1.0.0-stable';

let plane: Plane;
let gateway: Gateway;
let executor: HttpExecutor;
beforeEach(async () => {
  // Says nothing to who waits for ever; the others get back what they gave.
  executor = new HttpExecutor(({ body }) => {
    const { input } = body.input_data as { input: unknown };
    if (input === 'wait') return undefined;
    return input === 'fail'
      ? { success: false, message: 'told to', logs: ['asked'] }
      : { success: true, data: { output: input }, logs: ['asked'] };
  });
  const policyExecutors = [await executor.start()];
  plane = await new Plane().up({ policyExecutors });
  gateway = await plane.serve();
  const execution = { type: 'remote', executor: 'python' };
  await plane.api.create(tenant, 'policy', { uri, hook: 'function', execution });
});
afterEach(async () => {
  await gateway.close();
  await executor.stop();
  await plane.remove();
});

async function aios(...words: string[]) {
  const io = fakeIo({ env: { AIOS_URL: gateway.url, NO_COLOR: '1' } });
  const code = await run(words, io);
  return { code, out: io.output(), err: io.errors() };
}

describe('a document', () => {
  test('of an executor that nobody named is refused with the nearest', async () => {
    const document = { uri: 'lost:1.0.0-stable', hook: 'function' };
    const execution = { type: 'remote', executor: 'pyton' };
    await expect(
      plane.api.create(tenant, 'policy', { ...document, execution }),
    ).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: [{ path: '$.execution.executor', seen: 'pyton', nearest: 'python' }],
    });
  });

  test('of a graph is refused with every function that is none', async () => {
    const nodes = [
      { label: 'a', policyRuleURI: 'same-outptu:1.0.0-stable' },
      { label: 'b', policyRuleURI: 'bin-pack:1.0.0-stable' },
      { label: 'c', policyRuleURI: same },
    ];
    const edges = [
      { from: 'a', to: 'c' },
      { from: 'b', to: 'c' },
    ];
    await expect(
      plane.api.create(tenant, 'policy', {
        ...{ uri: 'joined:1.0.0-stable', hook: 'function' },
        execution: { type: 'graph', nodes, edges },
      }),
    ).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: [
        { path: expect.stringContaining('$.execution.nodes[0]'), nearest: same },
        { path: expect.stringContaining('$.execution.nodes[1]'), seen: /resourceAllocator/ },
      ].map(({ seen, ...rest }) => ({
        ...rest,
        ...(seen ? { seen: expect.stringMatching(seen) } : {}),
      })),
    });
  });
});

describe('a job of a policy elsewhere', () => {
  test('is seen over HTTP, and cancelled in the middle', async () => {
    const client = connect(gateway.url);
    const { id } = await client.submitJob({
      ...{ policyRuleURI: uri, input: 'wait', timeLimitMs: 600_000 },
    });
    await eventually('it is asked', async () => executor.asked.length === 1);
    expect(await client.job(id)).toMatchObject({ status: 'running', attempts: 1 });
    expect(await client.cancelJob(id)).toMatchObject({ status: 'cancelled' });
    expect(await client.jobs()).toMatchObject([{ id, status: 'cancelled' }]);
    await client.cancelJob(id);
    await expect(client.job(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('is printed with what it said, as JSON if asked for, and its error is the exit code', async () => {
    expect(await aios('policy', 'run', uri, '--data', '[1,2]')).toMatchObject({
      ...{ code: 0, out: '[\n  1,\n  2\n]\n', err: expect.stringContaining('asked') },
    });
    const { out } = await aios('policy', 'run', uri, '--data', '7', '--json');
    const job = JSON.parse(out) as PolicyJob;
    expect(job).toMatchObject({ status: 'completed', output: 7, policyUri: uri });

    const failed = await aios('policy', 'run', uri, '--data', '"fail"');
    expect(failed).toMatchObject({ code: 5, err: expect.stringContaining('told to') });
    expect(failed.err).toContain('asked');
    const late = await aios('policy', 'run', uri, '--data', '"wait"', '--timeout-ms', '50');
    expect(late).toMatchObject({ code: 5, err: expect.stringContaining('within 50 ms') });
    const missing = await aios('policy', 'run', 'none:1.0.0-stable');
    expect(missing).toMatchObject({ code: 3, err: expect.stringContaining("'none:1.0.0-stable'") });

    const listed = JSON.parse((await aios('policy', 'jobs', '--json')).out) as PolicyJob[];
    expect(listed.map(({ status }) => status)).toHaveLength(5);
    expect(JSON.parse((await aios('policy', 'jobs', job.id, '--json')).out)).toEqual(job);
    expect(await aios('policy', 'jobs', 'job-none')).toMatchObject({ code: 3 });
    expect(await aios('policy', 'jobs', '--cancel')).toMatchObject({ code: 2 });
  });

  test.each(['run', 'jobs'])('aios policy %s shows what it is for', async (name) => {
    const { code, out } = await aios('policy', name, '--help');
    expect(code).toBe(0);
    expect(out).toContain(`aios policy ${name}`);
    expect(out).toMatch(/Examples?:/i);
  });
});
