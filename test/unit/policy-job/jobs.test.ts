import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { jobLimits } from '../../../runtime/policy-job/index.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { Bench, failing, tenant, uri } from './support.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await new Bench().open();
});
afterEach(() => bench.close());

const statusOf = async (id: string, of = tenant) => (await bench.jobs.get(of, id)).status;
const whenOver = (id: string, of = tenant) =>
  vi.waitFor(async () => {
    const job = await bench.jobs.get(of, id);
    expect(job.endedAtMs).toBeDefined();
    return job;
  });
const begun = (count: number) => vi.waitFor(() => expect(bench.calls).toHaveLength(count));
const restart = async () => {
  await bench.close();
  await bench.open();
};

describe('policy jobs', () => {
  it('run four at once, in order, and the tenant with the fewest at work comes first', async () => {
    bench.holds = true;
    for (const input of [1, 2, 3, 4, 5, 6]) await bench.submit(input);
    await bench.submit('theirs', 'other');
    await begun(jobLimits.running);
    expect(bench.calls.map(({ input }) => input)).toEqual([1, 2, 3, 4]);

    bench.calls[0]?.end();
    await begun(5);
    expect(bench.calls[4]).toMatchObject({ tenant: 'other', input: 'theirs' });
    bench.calls[1]?.end();
    await begun(6);
    expect(bench.calls[5]).toMatchObject({ input: 5 });
  });

  it('wait two hundred of one tenant, however they come in, and another tenant does not notice', async () => {
    bench.holds = true;
    const all = await Promise.allSettled(Array.from({ length: 300 }, (_, at) => bench.submit(at)));
    const taken = all.filter(({ status }) => status === 'fulfilled').length;
    expect(taken).toBeGreaterThanOrEqual(jobLimits.waiting);
    expect(taken).toBeLessThanOrEqual(jobLimits.waiting + jobLimits.running);
    expect(all.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'BUSY', retryable: true },
    });
    await bench.submit(1, 'other');
    expect(await bench.jobs.list('other')).toHaveLength(1);
  });

  it('that waited or ran when the control plane ended run again, with what they were given', async () => {
    bench.holds = true;
    const ids: string[] = [];
    for (const input of [1, 2, 3, 4, 5]) {
      ids.push((await bench.submit(input)).id);
      bench.nowMs += 1;
    }
    await begun(4);
    bench.holds = false;
    await restart();

    const jobs = await Promise.all(ids.map((id) => whenOver(id)));
    expect(jobs.map(({ output, attempts }) => [output, attempts])).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
      [4, 2],
      [5, 1],
    ]);
    expect(bench.calls.slice(4).map(({ input }) => input)).toEqual([1, 2, 3, 4, 5]);
  });

  it('broken off four times are given up', async () => {
    bench.holds = true;
    const { id } = await bench.submit(1);
    for (let attempt = 1; attempt <= jobLimits.attempts; attempt += 1) {
      await begun(attempt);
      await restart();
    }
    expect(await bench.jobs.get(tenant, id)).toMatchObject({
      ...{ status: 'failed', attempts: 4 },
      error: { code: 'CLOSED', message: expect.stringContaining('4 times') },
    });
    expect(bench.calls).toHaveLength(4);
  });

  it('say how they ended, with the time and what they said before they failed', async () => {
    bench.holds = true;
    const { id, ...fresh } = await bench.submit({ n: 1 }, tenant, failing.uri);
    expect(fresh).toEqual({
      ...{
        policyUri: failing.uri,
        status: 'queued',
        createdAtMs: 1_000_000,
        attempts: 0,
        logs: [],
      },
    });
    await begun(1);
    bench.nowMs += 5000;
    bench.calls[0]?.end();
    expect(await whenOver(id)).toMatchObject({
      ...{ status: 'failed', startedAtMs: 1_000_000, endedAtMs: 1_005_000, attempts: 1 },
      error: { code: 'POLICY_THREW', message: expect.stringContaining('told to') },
      logs: ['before it failed'],
    });
    const none = await bench.submit(1, tenant, 'none:1.0.0-stable');
    await begun(2);
    bench.calls[1]?.end();
    expect(await whenOver(none.id)).toMatchObject({ error: { code: 'POLICY_NOT_FOUND' } });
  });

  it('are cancelled by several at once, waiting or running, and removed once they ended', async () => {
    bench.holds = true;
    const ids: string[] = [];
    for (let at = 0; at < 6; at += 1) ids.push((await bench.submit(at)).id);
    await begun(4);
    const [runs = '', waits = ''] = [ids[0], ids[5]];
    for (const id of [runs, waits]) {
      const both = await Promise.all([
        bench.jobs.cancel(tenant, id),
        bench.jobs.cancel(tenant, id),
      ]);
      for (const job of both)
        expect(job).toMatchObject({ status: 'cancelled', error: { code: 'CANCELLED' } });
    }
    await begun(5);
    await bench.jobs.cancel(tenant, runs).catch(() => undefined);
    await expect(bench.jobs.get(tenant, runs)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await statusOf(ids[1] ?? '')).toBe('running');
  });

  it('belong to their tenant', async () => {
    const { id } = await bench.submit(1);
    await whenOver(id);
    for (const ask of ['get', 'cancel'] as const) {
      await expect(bench.jobs[ask]('other', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect(await bench.jobs.list('other')).toEqual([]);
  });

  it('are listed newest first, without what is long', async () => {
    const ids: string[] = [];
    for (const input of ['a', 'b', 'c']) {
      const { id } = await bench.submit(input);
      await whenOver(id);
      ids.unshift(id);
      bench.nowMs += 1;
    }
    const listed = await bench.jobs.list(tenant);
    expect(listed.map(({ id }) => id)).toEqual(ids);
    expect(listed.some((job) => 'output' in job)).toBe(false);
  });

  it('are not taken once the control plane ends', async () => {
    await bench.jobs.close();
    await expect(bench.submit(1)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it.each([
    [{}, ['$.policyRuleURI']],
    [{ policyRuleURI: uri, timeLimitMs: 0, wait: 1 }, ['$.timeLimitMs', '$.wait']],
    [{ policyRuleURI: uri, timeLimitMs: 3_600_001 }, ['$.timeLimitMs']],
    [
      { policy_rule_uri: 'x', policy_rule_parameters: 1 },
      ['$.policy_rule_uri', '$.policy_rule_parameters'],
    ],
    ['text', ['$']],
  ])('%j is refused with all that is wrong', async (document, paths) => {
    await expect(bench.jobs.submit(tenant, document)).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: paths.map((path) => expect.objectContaining({ path })),
    });
    expect(await bench.jobs.list(tenant)).toEqual([]);
  });

  it("are taken in AIOS's form", async () => {
    const { id } = await bench.jobs.submit(tenant, {
      ...{ name: 'one', policy_rule_uri: uri, policy_rule_parameters: {} },
      ...{ node_selector: { disk: 'ssd' }, inputs: { n: 1 } },
    });
    expect(await whenOver(id)).toMatchObject({ status: 'completed', output: { n: 1 } });
  });

  it('are asked for of the resource estimator, where there are nodes', async () => {
    const { nodes } = exampleInputs.resourceEstimator.estimate;
    bench.nodes = nodes.map((node) => ({ ...node, healthy: false }));
    const { id } = await bench.submit(1);
    expect(await whenOver(id)).toMatchObject({
      ...{ status: 'failed', error: { code: 'ADMISSION_DENIED' } },
    });
    expect((await bench.jobs.get(tenant, id)).error?.message).toContain('no node is healthy.');
    expect(bench.calls).toEqual([]);
    bench.nodes = nodes;
    expect(await whenOver((await bench.submit(2)).id)).toMatchObject({ output: 2 });
    // A system without nodes has nothing to be sparing with.
    bench.nodes = [];
    expect(await whenOver((await bench.submit(3)).id)).toMatchObject({ output: 3 });
  });
});
