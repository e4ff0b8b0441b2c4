import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import binPack from '../../../policies/resource-allocator/bin-pack.ts';
import leastLoaded from '../../../policies/resource-allocator/least-loaded.ts';
import spread from '../../../policies/resource-allocator/spread.ts';
import { ClusterAccount } from '../../../runtime/placement/cluster-account.ts';
import { carryTable, tableOf } from '../../../runtime/placement/filter/index.ts';
import { nodeRules } from '../../../runtime/placement/node-rules.ts';
import { surveyNodes } from '../../../runtime/placement/node-survey.ts';
import { deepFreeze, digestOf, freezeList } from '../../../runtime/policy/index.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { columns } from '../../../sdk/columns.ts';
import { placementRules, resourceAmounts } from '../../../sdk/spec/common.ts';

const nodeOf = (id: string, memoryBytes: number, zone: string): NodeSnapshot =>
  deepFreeze({
    ...{ id, healthy: memoryBytes !== 3, instances: 0, tags: [], metadata: { zone }, gpus: [] },
    capacity: { memoryBytes: 100, cpuCores: 4, gpus: [] },
    free: { memoryBytes, cpuCores: 4, gpus: [] },
  });

const value = fc.record({
  memoryBytes: fc.integer({ min: 0, max: 9 }),
  zone: fc.constantFrom('a', 'b', 'c'),
});
const block = (memoryBytes: number) => ({
  ...{ id: 'x', componentUri: 't.x:1-s', tenant: 'default', minInstances: 1, maxInstances: 1 },
  ...{ tags: [], instances: [], resources: resourceAmounts.parse({ memoryBytes }) },
  placement: placementRules.parse({
    nodeAffinity: {
      required: { nodeQuery: { variable: 'metadata.zone', operator: '!=', value: 'c' } },
    },
  }),
});

/** A cluster, and what becomes of some of its nodes, step by step. */
const history = fc.record({
  first: fc.array(value, { minLength: 1, maxLength: 150 }),
  steps: fc.array(fc.array(fc.tuple(fc.nat({ max: 149 }), value), { maxLength: 4 }), {
    maxLength: 5,
  }),
});

const read = (node: NodeSnapshot): number => node.free.memoryBytes;

describe('what is kept from one placement to the next', () => {
  it('is what a look at every node would give', () => {
    const account = new ClusterAccount();
    const free = columns(read, (node) => node.free.cpuCores);
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 8 }), ({ first, steps }, wanted) => {
        const rules = nodeRules(block(wanted), undefined);
        let nodes = freezeList(
          first.map(({ memoryBytes, zone }, at) => nodeOf(`n${at}`, memoryBytes, zone)),
        );
        tableOf(nodes).stats(read);
        for (const step of [[], ...steps]) {
          const before = nodes;
          const next = [...nodes];
          const places: number[] = [];
          for (const [at, { memoryBytes, zone }] of step) {
            if (at >= next.length) continue;
            next[at] = nodeOf(`n${at}`, memoryBytes, zone);
            places.push(at);
          }
          nodes = freezeList(next);
          carryTable(before, nodes, places);

          const { passing, refusedCount, refused, conditions } = surveyNodes(rules, account, nodes);
          const fits = ({ healthy, free: { memoryBytes }, metadata }: NodeSnapshot): boolean =>
            healthy && metadata.zone !== 'c' && memoryBytes >= wanted;
          expect(passing).toEqual(nodes.filter(fits));
          expect(refusedCount).toBe(nodes.length - passing.length);
          expect([...refused()].map(({ nodeId }) => nodeId)).toEqual(
            nodes.filter((node) => !fits(node)).map(({ id }) => id),
          );
          expect(conditions(2).reduce((sum, { count }) => sum + count, 0)).toBe(refusedCount);
          for (const { count, examples } of conditions(2)) {
            expect(examples).toHaveLength(Math.min(2, count));
          }
          for (const { refusedBy, examples } of conditions(2)) {
            const all = [...refused()].filter((each) => each.refusedBy === refusedBy);
            expect(examples).toEqual(all.slice(0, 2));
          }
          // What is kept of its runs says the same as reading everything.
          expect(digestOf({ passing })).toBe(digestOf({ passing: structuredClone(passing) }));
          const total = nodes.reduce((sum, node) => sum + read(node), 0);
          expect(tableOf(nodes).stats(read)).toMatchObject({ count: nodes.length, sum: total });
          expect(Array.from(free(nodes)[0] ?? [])).toEqual(nodes.map(read));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe.each([
  ['bin-pack', binPack, {}],
  ['spread', spread, {}],
  ['least-loaded', leastLoaded, { load: 'cpu' }],
  ['least-loaded by load average', leastLoaded, { load: 'load1m' }],
] as const)('%s over columns', (_, policy, settings) => {
  it('scores every node as it does one by one, and takes the same place', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (values) => {
        const nodes = freezeList(
          values.map(({ memoryBytes, zone }, at) => nodeOf(`n${at}`, memoryBytes + 1, zone)),
        );
        const cluster = { id: 'c', regionId: 'r', tags: [], metadata: {}, nodes };
        const context = {
          ...{ parameters: {}, settings, state: {}, now: 0 },
          ...{ random: () => 0, log: () => undefined },
        };
        const ask = (options: object) =>
          policy.evaluate(
            { action: 'dry_run', block: block(1), instances: 1, cluster, nodes, ...options },
            context as never,
          );

        const quick = ask({});
        const oneByOne = ask({ nodePreferences: {} });

        if (!('scores' in quick && 'scores' in oneByOne)) throw new Error('no scores');
        expect(quick.scores).toHaveLength(nodes.length);
        // What is preferred weighs half; nothing is preferred.
        expect(oneByOne.scores).toEqual(quick.scores?.map((score) => (score + 0.5) / 2));
        expect(quick.assignments).toEqual(oneByOne.assignments);
      }),
      { numRuns: 50 },
    );
  });
});
