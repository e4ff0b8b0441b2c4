import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { jobLimits } from '../../../runtime/policy-job/index.ts';
import { createKept, keptLimits } from '../../../runtime/policy-job/kept.ts';
import { createQueue } from '../../../runtime/policy-job/queue.ts';
import type { PolicyJob } from '../../../sdk/client/control.ts';
import { Bench, tenant } from './support.ts';

const ended = (
  id: number | string,
  endedAtMs: number,
  output: PolicyJob['output'] = null,
): PolicyJob => ({
  ...{ id: String(id), policyUri: 'p:1.0.0-stable', status: 'completed', createdAtMs: 0 },
  ...{ endedAtMs, attempts: 1, logs: [], output },
});

describe('what is kept of jobs that ended', () => {
  it('is the newest thousand', () => {
    const kept = createKept();
    for (let at = 0; at < 1003; at += 1) kept.add('a', ended(at, 5));
    for (let at = 0; at < 5; at += 1) kept.add('b', ended(at, 5));
    expect(kept.excess('a', 5)).toEqual(['0', '1', '2']);
    expect(kept.excess('b', 5)).toEqual([]);
    kept.drop('a', '1002');
    expect(kept.excess('a', 5)).toEqual(['0', '1']);
  });

  it('is of the last seven days', () => {
    const kept = createKept();
    for (const [id, endedAtMs] of [
      ['old', 10],
      ['young', 20],
    ] as const)
      kept.add('a', ended(id, endedAtMs));
    expect(kept.excess('a', 10 + keptLimits.keptMs)).toEqual([]);
    expect(kept.excess('a', 11 + keptLimits.keptMs)).toEqual(['old']);
    expect(kept.excess('a', 21 + keptLimits.keptMs)).toEqual(['old', 'young']);
  });

  it('is no more than so many characters, but for the newest', () => {
    const kept = createKept();
    const half = 'x'.repeat(keptLimits.keptCharacters / 2);
    kept.add('a', ended(1, 0, half));
    kept.add('a', ended(2, 0, 'short'));
    expect(kept.excess('a', 0)).toEqual([]);
    kept.add('a', ended(3, 0, half));
    expect(kept.excess('a', 0)).toEqual(['1']);
    kept.add('a', ended(4, 0, half + half));
    expect(kept.excess('a', 0)).toEqual(['1', '2', '3']);
  });
});

describe('a service of jobs', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

  it('forgets what is too old, whether or not it ran all the time', async () => {
    const { id } = await bench.submit(1);
    await vi.waitFor(async () =>
      expect((await bench.jobs.get(tenant, id)).endedAtMs).toBeDefined(),
    );
    bench.nowMs += jobLimits.keptMs;
    expect(await bench.jobs.list(tenant)).toHaveLength(1);
    await bench.close();
    await bench.open();
    expect(await bench.jobs.list(tenant)).toHaveLength(1);
    bench.nowMs += 1;
    await expect(bench.jobs.get(tenant, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await bench.store.list(tenant, 'policy-job')).toEqual([]);
  });
});

it('whoever waits comes to it once, in order within a tenant, and no tenant waits for a busier one', () => {
  const arrivals = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 });
  fc.assert(
    fc.property(arrivals, fc.infiniteStream(fc.nat()), (tenants, ends) => {
      const queue = createQueue();
      const atWork: string[] = [];
      const served: string[] = [];
      const runs = (tenant: string) => atWork.filter((one) => one === tenant).length;
      for (const [at, tenant] of tenants.entries()) queue.add(tenant, `${at}`);
      for (let next = queue.next(runs); next; next = queue.next(runs)) {
        const { tenant } = next;
        for (const other of ['a', 'b', 'c']) {
          if (queue.sizeOf(other) > 0) expect(runs(tenant)).toBeLessThanOrEqual(runs(other));
        }
        served.push(`${tenant}${next.id}`);
        atWork.push(tenant);
        if (atWork.length === 4) atWork.splice((ends.next().value ?? 0) % 4, 1);
      }
      const all = tenants.map((tenant, at) => `${tenant}${at}`);
      for (const tenant of ['a', 'b', 'c']) {
        const of = (names: string[]) => names.filter((name) => name.startsWith(tenant));
        expect(of(served)).toEqual(of(all));
      }
    }),
  );
});
