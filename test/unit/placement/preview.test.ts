import { describe, expect, it } from 'vitest';
import { renderPreview } from '../../../cli/preview.ts';
import { clusterView, gibibyte, request, testPlacement } from '../../support/clusters.ts';

const gpus = [{ memoryBytes: 8 * gibibyte }, { memoryBytes: 16 * gibibyte }];
const nodes = [
  { id: 'n1', memoryBytes: 8 * gibibyte, cpuCores: 4, gpus },
  { id: 'n2', memoryBytes: 4 * gibibyte, cpuCores: 4, gpus },
  { id: 'none', memoryBytes: gibibyte, cpuCores: 4, gpus },
];
const resources = {
  memoryBytes: 2 * gibibyte,
  cpuCores: 1,
  gpus: [{ memoryBytes: 10 * gibibyte }],
};
const plain = { style: { bold: String, dim: String, good: String } as never };

describe('a preview', () => {
  it('lists every place with its score and what it would leave free, the chosen first', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes })]);

    const preview = await placement.preview(request('x', resources));

    expect(preview.counts).toEqual({ places: 2, nodes: 3, clusters: 1 });
    expect(preview.places).toMatchObject([
      {
        nodeId: 'n2',
        gpus: [1],
        chosen: true,
        leaves: {
          memoryBytes: 2 * gibibyte,
          cpuCores: 3,
          gpus: [
            { index: 0, memoryBytes: 8 * gibibyte },
            { index: 1, memoryBytes: 6 * gibibyte },
          ],
        },
      },
      { nodeId: 'n1', gpus: [1], chosen: false, leaves: { memoryBytes: 6 * gibibyte } },
    ]);
    expect(preview.places.every(({ score }) => (score ?? 0) > 0)).toBe(true);
    expect(placement.ledgerOf('default').free('c', 'n2').memoryBytes).toBe(4 * gibibyte);
  });

  it('scores every place of a large cluster, lists a bounded number and counts all', async () => {
    const many = Array.from({ length: 300 }, (_, at) => ({
      ...{ id: `m${at}`, memoryBytes: (8 + (at % 5)) * gibibyte, cpuCores: 4, gpus },
    }));
    const placement = testPlacement([clusterView({ id: 'c', nodes: many })]);

    const { places, counts } = await placement.preview(request('x', resources), 120);

    expect(counts.places).toBe(300);
    expect(places).toHaveLength(120);
    expect(places.every(({ score }) => score !== undefined)).toBe(true);
  });

  it('says why there is no place', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes })]);

    const nowhere = await placement.preview(request('x', { memoryBytes: 99 * gibibyte }));
    const unsaid = await placement.preview(request('x', undefined));

    expect(nowhere).toMatchObject({ places: [], decision: { outcome: 'refused' } });
    expect(unsaid).toMatchObject({ places: [], decision: { outcome: 'refused' } });
  });

  it('is shown as a table', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes })]);
    const table = (titles: readonly string[], rows: readonly (readonly string[])[]) =>
      [titles, ...rows].map((row) => row.join(' | ')).join('\n');

    const text = renderPreview(await placement.preview(request('x', resources)), {
      ...plain,
      table,
    });

    expect(text).toContain('2 places on 3 nodes of 1 clusters');
    expect(text).toMatch(/c \| n2 \| 1 \| 0\.\d+ \| 2\.0 GiB \| 3 \| 8\.0 GiB 6\.0 GiB \| chosen/);
  });
});
