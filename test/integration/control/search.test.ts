import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../../support/system.ts';
import { DecidingPlane, told } from './deciding.ts';
import { tenant } from './plane.ts';

let plane: DecidingPlane;
beforeEach(async () => {
  plane = await new DecidingPlane().up();
  await plane.simulate();
  for (const [id, tags] of [
    ['a', ['gpu']],
    ['b', ['gpu']],
    ['c', []],
  ] as const) {
    await plane.api.create(tenant, 'block', plane.box(id, { tags }));
    await eventually(`${id} runs`, async () => (await plane.block(id)).state === 'running');
  }
});
afterEach(() => plane.remove());

const tagged = { blockQuery: { variable: 'tags', operator: 'IN', value: ['gpu'] } };
const idsOf = (found: { readonly results: readonly { readonly id: string }[] }) =>
  found.results.map(({ id }) => id);

describe('a search', () => {
  test('filters, and a policy orders what passed', async () => {
    const plain = await plane.control.search(tenant, { matchType: 'block', filter: tagged });
    expect(idsOf(plain)).toEqual(['a', 'b']);
    const rankingPolicyRule = { policyRuleURI: told('by-id-backwards') };
    const ranked = await plane.control.search(tenant, {
      body: {
        values: {
          rankingPolicyRule: {
            values: {
              ...rankingPolicyRule,
              parameters: { filterRule: { matchType: 'block', filter: tagged } },
            },
          },
        },
      },
    });
    expect(idsOf(ranked)).toEqual(['b', 'a']);
    expect(ranked).toMatchObject({
      matched: 2,
      results: [{ score: 2, document: { spec: { id: 'b' } } }, {}],
    });
    expect(plane.asked.at(-1)).toMatchObject({
      input: { candidates: [{ id: 'a', tags: ['gpu'], state: 'running' }, { id: 'b' }] },
    });
    const [decision] = await plane.decisions('search');
    expect(decision).toMatchObject({ id: ranked.decisionId, outcome: 'answered' });
    const one = await plane.control.search(tenant, {
      matchType: 'block',
      rankingPolicyRule,
      limit: 1,
    });
    expect([one.matched, idsOf(one)]).toEqual([3, ['c']]);
  });

  test('that finds nothing asks nobody; a wrong filter is told with its path', async () => {
    const filter = { blockQuery: { variable: 'id', operator: '==', value: 'none' } };
    const rankingPolicyRule = { policyRuleURI: told('by-id-backwards') };
    expect(
      await plane.control.search(tenant, { matchType: 'block', filter, rankingPolicyRule }),
    ).toEqual({
      matchType: 'block',
      matched: 0,
      results: [],
    });
    expect(plane.asked).toEqual([]);
    await expect(
      plane.control.search(tenant, {
        matchType: 'block',
        filter: { blockQuery: { variable: 'compnentUri', operator: '==', value: 1 } },
      }),
    ).rejects.toMatchObject({
      code: 'FILTER_INVALID',
      problems: [expect.objectContaining({ nearest: 'componentUri' })],
    });
  });

  test.each(['cluster', 'component', 'policy', 'vdag'] as const)(
    'of %ss works too',
    async (matchType) => {
      const found = await plane.control.search(tenant, { matchType });
      expect(found.matched).toBe(found.results.length);
      if (matchType === 'cluster') expect(idsOf(found)).toEqual(['sim']);
      if (matchType === 'component') expect(idsOf(found)).toEqual(['sim.box:1.0.0-stable']);
      if (matchType === 'policy') expect(idsOf(found)).toContain(told('by-id-backwards'));
    },
  );

  test('of clusters by a metric sees the nodes', async () => {
    const filter = {
      clusterMetricsQuery: { variable: 'cluster.vcpu.count', operator: '>=', value: 16 },
    };
    expect(idsOf(await plane.control.search(tenant, { matchType: 'cluster', filter }))).toEqual([
      'sim',
    ]);
  });
});

describe('a vDAG node with an assignment policy', () => {
  const node = (
    parameters: Record<string, unknown>,
    policyRuleURI = 'least-busy-block:1.0.0-stable',
  ) => ({
    nodeLabel: 'seg',
    assignmentPolicyRule: { policyRuleURI, parameters },
  });
  const vdag = (nodes: object[]) => ({ uri: 'pair:1.0.0-stable', nodes });

  test('is given exactly one block, which the vDAG then holds', async () => {
    const filter = { blockQuery: { variable: 'id', operator: '==', value: 'b' } };
    const document = vdag([
      node({ filterRule: { matchType: 'block', filter } }),
      { nodeLabel: 'next', manualBlockId: 'c' },
    ]);
    const created = await plane.api.create(tenant, 'vdag', document);
    expect(created.spec).toMatchObject({
      nodes: [{ label: 'seg', blockId: 'b' }, { blockId: 'c' }],
    });
    expect(await plane.api.resolveVdag(tenant, 'pair')).toMatchObject({
      nodes: [{ blockId: 'b' }, {}],
    });
    await expect(plane.api.delete(tenant, 'block', 'b')).rejects.toMatchObject({ code: 'IN_USE' });
    expect(await plane.decisions('search')).toMatchObject([
      {
        subject: 'vdag/pair:1.0.0-stable',
        outcome: 'answered',
        message: expect.stringContaining("'b'"),
      },
    ]);
  });

  test('that no block fits is refused, and nothing is kept', async () => {
    const filter = { blockQuery: { variable: 'id', operator: '==', value: 'none' } };
    await expect(
      plane.api.create(
        tenant,
        'vdag',
        vdag([node({ filterRule: { matchType: 'block', filter } })]),
      ),
    ).rejects.toMatchObject({ code: 'NO_CANDIDATE', details: { label: 'seg' } });
    expect((await plane.status()).vdags).toEqual([]);
    expect(await plane.decisions('search')).toMatchObject([{ outcome: 'refused' }]);
  });

  test('whose policy or filter is wrong is told so before anything is asked', async () => {
    await expect(
      plane.api.create(tenant, 'vdag', vdag([node({}, 'least-busy-blok:1.0.0-stable')])),
    ).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: [expect.objectContaining({ nearest: 'least-busy-block:1.0.0-stable' })],
    });
  });
});

describe('an ad-hoc allocation', () => {
  test('answers with a cluster, and is recorded', async () => {
    const request = {
      policy_rule_uri: 'most-free:1.0.0-stable',
      adhoc: true,
      inputs: { for: 'a job' },
    };
    const { answer, decisionId } = await plane.control.allocate(tenant, request);
    expect(answer).toEqual({ clusterId: 'sim' });
    const [decision] = (await plane.decisions('placement')).filter(({ id }) => id === decisionId);
    expect(decision).toMatchObject({ outcome: 'answered', policies: ['most-free:1.0.0-stable'] });
  });

  test('of clusters that do not exist, or that no filter lets through', async () => {
    await expect(plane.control.allocate(tenant, { clusters: ['sin'] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining("Did you mean 'sim'?"),
    });
    const filter = { clusterQuery: { variable: 'id', operator: '==', value: 'none' } };
    expect(await plane.control.allocate(tenant, { filter })).toMatchObject({
      answer: { refused: expect.any(String) },
    });
    await expect(plane.control.allocate(tenant, { policyRuleUri: 'x' })).rejects.toMatchObject({
      problems: [expect.objectContaining({ nearest: 'policyRuleURI' })],
    });
  });
});
