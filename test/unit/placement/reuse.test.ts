import { describe, expect, it } from 'vitest';
import { digestOf, recordingOf } from '../../../runtime/policy/index.ts';
import { placementRules } from '../../../sdk/spec/common.ts';
import { clusterView, gibibyte, nodesOf, request, testPlacement } from '../../support/clusters.ts';

const sizes = Array.from({ length: 200 }, (_, at) => (4 + (at % 3)) * gibibyte);
const nodes = nodesOf(...sizes).map((node, at) => ({ ...node, metadata: { rack: `r${at % 4}` } }));
const query = { variable: 'metadata.rack', operator: '==', value: 'r1' };
const inOneRack = placementRules.parse({ nodeAffinity: { required: { nodeQuery: query } } });

describe('placements that follow one another', () => {
  it.each([
    ['every node a candidate', undefined, 200],
    ['one node of four a candidate', inOneRack, 50],
  ])('ask about each candidate and digest exactly what was asked: %s', async (_, rules, most) => {
    const placement = testPlacement([clusterView({ id: 'c', nodes })]);
    const ledger = placement.ledgerOf('default');
    const scored: number[] = [];
    for (let at = 0; at < 30; at += 1) {
      const asked = request(`b${at}`, { memoryBytes: 2 * gibibyte, cpuCores: 1 });
      const block = { ...asked.block, ...(rules ? { placement: rules } : {}) };
      const { decision, reservationId } = await placement.place(
        { ...asked, block },
        { reserve: true },
      );
      expect(decision.evaluations.map(({ action }) => action)).toEqual([
        ...['selection', 'dry_run', 'post_dry_run', 'allocation'],
      ]);
      for (const evaluation of decision.evaluations) {
        const input = recordingOf(evaluation)?.input;
        expect(evaluation.inputDigest).toBe(digestOf(structuredClone(input)));
      }
      const { total, scored: count = 0 } = decision.candidateCounts ?? {};
      expect(total).toBe(200);
      scored.push(count);
      ledger.commit(reservationId ?? '');
      if (at % 3 === 2) ledger.release(`b${at - 2}-in-0`);
    }
    // Those that were filled are candidates no more.
    expect(scored[0]).toBe(most);
    expect(Math.min(...scored)).toBeGreaterThan(most - 30);
    expect(Math.min(...scored)).toBeLessThan(most);
  });
});
