import { describe, expect, it } from 'vitest';
import retryThenRestart from '../../../policies/failure-policy/retry-then-restart.ts';
import denyActions from '../../../policies/pre-check/deny-actions.ts';
import requireTags from '../../../policies/pre-check/require-tags.ts';
import fewestVictims from '../../../policies/preemption/fewest-victims.ts';
import byMetric from '../../../policies/ranking/by-metric.ts';
import unhealthyRetry from '../../../policies/stability-checker/unhealthy-retry.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { ask, type Keeper } from './ask.ts';

describe('retry-then-restart', () => {
  it('waits longer each time, then restarts, then says so and gives up', () => {
    const example = exampleInputs.failurePolicy.handle;
    const at = (count: number) =>
      ask<{ actions: { type: string; afterMs?: number }[] }>(retryThenRestart, {
        ...example,
        failure: { ...example.failure, count },
      }).actions;

    const [first] = at(1);
    const [second] = at(2);
    expect(first?.afterMs).toBeGreaterThanOrEqual(500);
    expect(first?.afterMs).toBeLessThanOrEqual(1000);
    expect(second?.afterMs).toBeGreaterThanOrEqual(1000);
    expect(at(3)).toEqual([{ type: 'restart' }]);
    expect(at(6).map(({ type }) => type)).toEqual(['notify', 'give-up']);
  });
});

describe('unhealthy-retry', () => {
  it('restarts after the threshold, moves after twice that, and forgets what recovered', () => {
    const keeper: Keeper = { state: {} };
    const check = (healthy: boolean) =>
      ask<{ actions: { type: string }[] }>(
        unhealthyRetry,
        {
          ...exampleInputs.stabilityChecker.block,
          instances: [{ id: 'in-1', nodeId: 'n', state: 'ready', healthy, restarts: 0 }],
        },
        { keeper, parameters: { unhealthy_threshold: '2' } },
      ).actions.map(({ type }) => type);

    expect([check(false), check(false), check(false), check(false)]).toEqual([
      [],
      ['restart'],
      ['restart'],
      ['reassign'],
    ]);
    expect([check(true), check(false)]).toEqual([[], []]);
  });
});

describe('pre-checks', () => {
  const question = (input: unknown) => ({ ...exampleInputs.preCheck.add_block, input });

  it('require-tags refuses what has them not, and adds others', () => {
    const parameters = { required: ['team:*'], added: ['audited'] };

    expect(ask(requireTags, question({ id: 'b', tags: [] }), { parameters })).toEqual({
      allowed: false,
      reason: 'tags are missing: team:*',
    });
    expect(ask(requireTags, question({ id: 'b', tags: ['team:a'] }), { parameters })).toEqual({
      allowed: true,
      input: { id: 'b', tags: ['team:a', 'audited'] },
    });
    expect(ask(requireTags, question('no document'), { parameters })).toMatchObject({
      allowed: false,
    });
  });

  it('deny-actions refuses what it is told', () => {
    const parameters = { actions: ['remove_block'], reason: 'frozen' };

    expect(ask(denyActions, question({}), { parameters })).toEqual({ allowed: true });
    expect(ask(denyActions, exampleInputs.preCheck.remove_block, { parameters })).toEqual({
      allowed: false,
      reason: 'frozen',
    });
  });
});

describe('by-metric', () => {
  it('orders by a path, what lacks it last, and shows so many', () => {
    const candidates = [
      { id: 'a', metrics: { load: 3 } },
      { id: 'b' },
      { id: 'c', metrics: { load: 1 } },
    ];
    const question = { ...exampleInputs.ranking.rank, candidates };
    const ranked = (parameters: unknown) =>
      ask<{ ranked: { id: string }[] }>(byMetric, question, { parameters }).ranked.map(
        ({ id }) => id,
      );

    expect(ranked({ path: 'metrics.load' })).toEqual(['c', 'a', 'b']);
    expect(ranked({ path: 'metrics.load', order: 'descending', return: 1 })).toEqual(['a']);
    expect(ranked({ path: '__proto__.x' })).toHaveLength(3);
  });
});

describe('fewest-victims', () => {
  it('prefers few, then low', () => {
    const example = exampleInputs.preemption.preempt;
    const victim = (priority: number) => ({
      ...{ instanceId: `i${priority}`, blockId: 'b', priority, startedAtMs: 0 },
      amounts: { memoryBytes: 1, cpuCores: 1, gpus: [] },
    });
    const option = (...priorities: number[]) => ({
      ...{ clusterId: 'c', nodeIds: ['n'] },
      victims: priorities.map(victim),
    });
    const options = [option(1, 1), option(5), option(2)];

    expect(ask(fewestVictims, { ...example, options })).toEqual({ option: 2 });
    expect(ask(fewestVictims, { ...example, options: [] })).toHaveProperty('refused');
  });
});
