import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { obedientPolicies, told } from './deciding.ts';
import { block, node, Plane, tenant } from './plane.ts';

const plane = new Plane();
afterEach(async () => {
  await plane.remove();
});

let asked = 0;
const counting = definePolicy({
  hook: 'resourceAllocator',
  name: 'counting',
  version: '1.0.0',
  description: 'Counts how often it is asked, and finds no place.',
  parameters: z.strictObject({}),
  evaluate(input) {
    asked += 1;
    return input.action === 'allocation'
      ? { accept: false, reason: 'no' }
      : { score: 0, assignments: [] };
  },
});

const until = async (what: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await what()) return;
    await sleep(100);
  }
  throw new Error('never happened');
};
const statusOf = (id: string) => plane.api.blockStatus(tenant, id);
const runs = (id: string) => until(async () => (await statusOf(id)).state === 'running');

describe('instances that give way', () => {
  it('a block of higher priority takes the place of a lower one, which waits and comes back', async () => {
    await plane.up();
    await plane.declare();
    const whole = { resources: { memoryBytes: '250Mi', cpuCores: 0.5 } };
    for (const id of ['low-a', 'low-b']) {
      await plane.api.create(tenant, 'block', block(id, whole));
      await runs(id);
    }

    await plane.api.create(tenant, 'block', block('high', { ...whole, priority: 10 }));
    await runs('high');

    const [decision] = await plane.api.explain(tenant, 'high');
    expect(decision?.outcome).toBe('placed');
    const [victim] = (decision?.details?.preempted ?? []) as string[];
    const loser = victim?.startsWith('low-a') ? 'low-a' : 'low-b';
    await until(async () => (await statusOf(loser)).state === 'pending');
    expect((await statusOf('high')).instances).toHaveLength(1);

    await plane.api.delete(tenant, 'block', 'high');
    await runs(loser);
  });
});

describe('a block that waits', () => {
  it('is tried again when room is given back, and not before', async () => {
    await plane.up({ policies: [...builtinPolicies, counting] });
    await plane.declare();
    await plane.api.create(
      tenant,
      'block',
      block('first', { resources: { memoryBytes: '250Mi', cpuCores: 4 } }),
    );
    await runs('first');
    const waiting = block('second', {
      resources: { memoryBytes: '100Mi', cpuCores: 0.5 },
      minInstances: 4,
      policies: { resourceAllocator: { policyRuleURI: 'counting:1.0.0-stable' } },
    });
    asked = 0;
    await plane.api.create(tenant, 'block', waiting);
    await until(async () => (await statusOf('second')).reason !== undefined);
    const once = asked;
    expect(once).toBe(1);

    // Several rounds of measuring: nothing that the refusal went by changes.
    await sleep(5000);
    expect(asked).toBe(once);

    await plane.api.delete(tenant, 'block', 'first');
    await until(async () => asked > once);
  });
});

describe('an instance that is to be elsewhere', () => {
  it('is created there before the old one goes', async () => {
    await plane.up();
    await plane.declare();
    await plane.api.create(tenant, 'block', block('echo'));
    await runs('echo');
    const [before] = (await statusOf('echo')).instances;
    let fewest = Number.POSITIVE_INFINITY;
    const stop = plane.api.watch(tenant, () => {
      void statusOf('echo').then(({ instances }) => {
        fewest = Math.min(fewest, instances.filter(({ state }) => state === 'ready').length);
      });
    });

    const moved = await plane.api.reassign(
      tenant,
      before?.id ?? '',
      'the machine is to be serviced',
    );
    await until(async () => (await statusOf('echo')).instances.length === 1);
    stop();

    const [after] = (await statusOf('echo')).instances;
    expect(moved).toBe(true);
    expect(after?.id).not.toBe(before?.id);
    expect(after?.nodeId).not.toBe(before?.nodeId);
    expect(fewest).toBe(1);
    const [decision] = await plane.api.explain(tenant, 'echo');
    expect(decision?.reason).toBe('reassign');
    expect(decision?.evaluations.map(({ action }) => action)).toContain('reassignment');
  });

  it('stays where it is when there is no other place', async () => {
    await plane.up();
    await plane.declare();
    await plane.api.create(
      tenant,
      'cluster',
      { id: 'home', nodes: [node('n1')] },
      { replace: true },
    );
    await plane.api.create(tenant, 'block', block('echo'));
    await runs('echo');
    const [before] = (await statusOf('echo')).instances;

    expect(await plane.api.reassign(tenant, before?.id ?? '', 'no reason')).toBe(false);

    const { state, instances } = await statusOf('echo');
    expect([state, instances[0]?.id]).toEqual(['running', before?.id]);
  });
});

describe('an instance that failed and is to be elsewhere', () => {
  const moving = { policyRuleURI: told('told-end'), parameters: { first: 'reassign' } };
  const policies = { failurePolicy: moving };
  const obedient = [...builtinPolicies, ...obedientPolicies([])];

  it('keeps its place until another has one on another node', async () => {
    await plane.up({ policies: obedient });
    await plane.declare();
    await plane.api.create(tenant, 'block', block('echo', { policies }));
    await runs('echo');
    const [before] = (await statusOf('echo')).instances;
    let fewest = Number.POSITIVE_INFINITY;
    const stop = plane.api.watch(tenant, () => {
      void statusOf('echo').then(({ instances }) => {
        fewest = Math.min(fewest, instances.length);
      });
    });

    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until(async () => (await statusOf('echo')).instances[0]?.id !== before?.id);
    await runs('echo');
    stop();

    const { instances } = await statusOf('echo');
    expect(instances).toMatchObject([{ restarts: 1 }]);
    expect(instances[0]?.nodeId).not.toBe(before?.nodeId);
    expect(fewest).toBe(1);
    const [decision] = await plane.api.explain(tenant, 'echo');
    expect(decision).toMatchObject({ reason: 'reassign', outcome: 'placed' });
    expect(decision?.evaluations.map(({ action }) => action)).toContain('reassignment');
  });

  it('comes back where it was when there is no other place', async () => {
    await plane.up({ policies: obedient });
    await plane.declare();
    await plane.api.create(
      tenant,
      'cluster',
      { id: 'home', nodes: [node('n1')] },
      { replace: true },
    );
    await plane.api.create(tenant, 'block', block('echo', { policies }));
    await runs('echo');
    const [before] = (await statusOf('echo')).instances;

    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until(async () => (await statusOf('echo')).instances[0]?.id !== before?.id);
    await runs('echo');

    expect((await statusOf('echo')).instances).toMatchObject([{ nodeId: 'n1', restarts: 1 }]);
    const outcomes = (await plane.api.explain(tenant, 'echo')).map(({ reason, outcome }) => [
      reason,
      outcome,
    ]);
    expect(outcomes.slice(0, 2)).toEqual([
      ['heal', 'placed'],
      ['reassign', 'refused'],
    ]);
  });
});
