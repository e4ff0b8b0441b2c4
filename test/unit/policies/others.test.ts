import { describe, expect, it } from 'vitest';
import mostFree from '../../../policies/adhoc-allocator/most-free.ts';
import leastBusyBlock from '../../../policies/assignment/least-busy-block.ts';
import retryThenRestart from '../../../policies/failure-policy/retry-then-restart.ts';
import everyBlockReady from '../../../policies/health-checker/every-block-ready.ts';
import denyActions from '../../../policies/pre-check/deny-actions.ts';
import requireTags from '../../../policies/pre-check/require-tags.ts';
import fewestVictims from '../../../policies/preemption/fewest-victims.ts';
import never from '../../../policies/preemption/never.ts';
import byMetric from '../../../policies/ranking/by-metric.ts';
import roomiestNode from '../../../policies/resource-estimator/roomiest-node.ts';
import retryOnFail from '../../../policies/stability-checker/retry-on-fail.ts';
import unhealthyRetry from '../../../policies/stability-checker/unhealthy-retry.ts';
import type { ClusterSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { ask, type Keeper } from './ask.ts';
import { cluster, node } from './snapshots.ts';

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
    expect(at(0)).toHaveLength(1);
  });

  it('never waits longer than it may, by chance the same for the same seed', () => {
    const example = exampleInputs.failurePolicy.handle;
    const parameters = { retries: 5000, first_delay_ms: 100, max_delay_ms: 3000 };
    const delay = (count: number, seed: number) =>
      ask<{ actions: { afterMs?: number }[] }>(
        retryThenRestart,
        { ...example, failure: { ...example.failure, count } },
        { parameters, seed },
      ).actions[0]?.afterMs ?? -1;

    for (const count of [1, 5, 6, 64, 5000]) {
      const most = Math.min(3000, 100 * 2 ** (count - 1));
      expect(delay(count, 3)).toBeLessThanOrEqual(most);
      expect(delay(count, 3)).toBeGreaterThanOrEqual(most / 2);
      expect(delay(count, 3)).toBe(delay(count, 3));
    }
    expect(new Set([1, 2, 3, 4].map((seed) => delay(9, seed))).size).toBeGreaterThan(1);
  });
});

describe('unhealthy-retry', () => {
  it('restarts after the threshold, moves after twice that, and forgets what recovered', () => {
    const keeper: Keeper = { state: {} };
    const check = (healthy: boolean, id = 'in-1', restarts = 0) =>
      ask<{ actions: { type: string }[] }>(
        unhealthyRetry,
        {
          ...exampleInputs.stabilityChecker.block,
          instances: [{ id, nodeId: 'n', state: 'ready', healthy, restarts }],
        },
        { keeper, parameters: { unhealthy_threshold: '2' } },
      ).actions.map(({ type }) => type);

    // What was restarted has as long to recover as it had before.
    expect([check(false), check(false), check(false), check(false)]).toEqual([
      [],
      ['restart'],
      [],
      ['reassign'],
    ]);
    expect([check(true), check(false)]).toEqual([[], []]);
    // A restarted instance has another name, and knows that its place was filled again.
    expect([check(false, 'in-2', 1), check(false, 'in-2', 1)]).toEqual([[], ['reassign']]);
    expect(keeper.state).toEqual({ counts: { 'in-2': 2 } });
  });

  it('acts on each instance by itself, whatever it is called', () => {
    const keeper: Keeper = { state: {} };
    const names = ['constructor', '__proto__', 'in-1'];
    const check = () =>
      ask<{ actions: { type: string; instanceId: string }[] }>(
        retryOnFail,
        {
          ...exampleInputs.stabilityChecker.block,
          instances: names.map((id) => ({
            ...{ id, nodeId: 'n', state: 'ready', healthy: id === 'in-1', restarts: 0 },
          })),
        },
        { keeper, parameters: { unhealthy_threshold: 2 } },
      ).actions;

    expect(check()).toEqual([]);
    expect(check()).toMatchObject([
      { type: 'restart', instanceId: 'constructor' },
      { type: 'restart', instanceId: '__proto__' },
    ]);
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
    expect(ask(requireTags, question({ id: 'b', tags: 'team:a' }), { parameters })).toMatchObject({
      allowed: false,
    });
  });

  it('require-tags lets go on what brings no document: what has no tags can be removed', () => {
    const parameters = { required: ['team:*'] };

    for (const action of ['remove_block', 'scale_block', 'cluster_mgmt'] as const) {
      const input = { ...exampleInputs.preCheck[action], input: { id: 'b' } };
      expect(ask(requireTags, input, { parameters })).toEqual({ allowed: true });
    }
    const strict = { ...parameters, actions: ['remove_block'] };
    expect(
      ask(requireTags, exampleInputs.preCheck.remove_block, { parameters: strict }),
    ).toMatchObject({ allowed: false });
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

describe('what chooses one of several', () => {
  const metrics = exampleInputs.autoscaler.evaluate.metrics;
  const last = (value: number) => ({ ...metrics.readyInstances, last: value });
  const candidate = (id: string, ready: number | undefined, waiting = 0) => ({
    block: { ...exampleInputs.autoscaler.evaluate.block, id },
    ...(ready === undefined
      ? {}
      : {
          metrics: { ...metrics, readyInstances: last(ready), outstandingRequests: last(waiting) },
        }),
  });
  const assigned = (...candidates: readonly unknown[]) =>
    ask(leastBusyBlock, { ...exampleInputs.assignment.assign, candidates });

  it('least-busy-block prefers blocks that can answer, then few requests, then the smaller id', () => {
    expect(assigned(candidate('idle', 0), candidate('busy', 1, 9))).toEqual({ blockId: 'busy' });
    expect(assigned(candidate('new', undefined), candidate('busy', 1, 9))).toEqual({
      blockId: 'busy',
    });
    expect(assigned(candidate('b', 1, 2), candidate('c', 1, 1), candidate('a', 1, 1))).toEqual({
      blockId: 'a',
    });
    expect(assigned()).toHaveProperty('refused');
  });

  it('most-free and roomiest-node count healthy nodes only, and take the smaller id of equals', () => {
    const nodes = [node('n2'), node('n1'), node('n9', { memory: 99, healthy: false })];
    const allocate = (...clusters: readonly ClusterSnapshot[]) =>
      ask(mostFree, { ...exampleInputs.adhocAllocator.allocate, clusters });
    const estimate = (given: readonly NodeSnapshot[]) =>
      ask(roomiestNode, { ...exampleInputs.resourceEstimator.estimate, nodes: given });

    expect(estimate(nodes)).toEqual({ allowed: true, nodeId: 'n1' });
    expect(estimate([])).toMatchObject({ allowed: false });
    expect(allocate(cluster('b', nodes), cluster('a', nodes))).toEqual({ clusterId: 'a' });
    expect(allocate(cluster('a', [node('n', { healthy: false })]))).toHaveProperty('refused');
    expect(allocate()).toHaveProperty('refused');
  });

  it('every-block-ready answers in few words, however many blocks are missing', () => {
    const blocks = Array.from({ length: 50 }, (_, at) => ({
      ...{ id: `${'b'.repeat(200)}${at}`, readyInstances: 0 },
    }));
    const { reason = '' } = ask<{ reason?: string }>(everyBlockReady, {
      ...exampleInputs.healthChecker.fast_check,
      blocks,
    });

    expect(reason.length).toBeLessThanOrEqual(1000);
  });

  it('never takes nobody’s place', () => {
    expect(ask(never, exampleInputs.preemption.preempt)).toHaveProperty('refused');
  });
});
