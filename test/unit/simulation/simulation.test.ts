import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { EventQueue } from '../../../runtime/simulation/event-queue.ts';
import {
  plotReport,
  readScenario,
  runScenario,
  type SimulationReport,
} from '../../../runtime/simulation/index.ts';

const example: Record<string, unknown> = JSON.parse(
  readFileSync(new URL('../../../examples/simulate/scenario.json', import.meta.url), 'utf8'),
);
const gpu = { memoryBytes: '8Gi' };
const small = (more: Record<string, unknown> = {}) => ({
  ...{ seed: 3, minutes: 240, patienceMinutes: 20 },
  clusters: [
    {
      id: 'c',
      nodes: [
        { count: 6, memoryBytes: '32Gi', cpuCores: 16, gpus: { count: 4, memoryBytes: '16Gi' } },
      ],
    },
  ],
  jobs: [
    {
      name: 'one',
      weight: 4,
      resources: { memoryBytes: '2Gi', cpuCores: 1, gpus: [gpu] },
      meanMinutes: 40,
    },
    {
      name: 'two',
      resources: { memoryBytes: '8Gi', cpuCores: 4, gpus: [gpu, gpu] },
      meanMinutes: 60,
      instances: 2,
    },
  ],
  arrivals: { perMinute: 1, wave: 0.5, waveMinutes: 120 },
  failures: { meanHoursBetween: 4, repairMinutes: 20 },
  ...more,
});
const run = (document: unknown) =>
  runScenario(readScenario(document), { policies: builtinPolicies });

/** What does not depend on how fast this machine is. */
const lasting = ({ variants, ...rest }: SimulationReport) => ({
  ...rest,
  variants: variants.map(({ decisionMs: _, decisionsPerSecond: __, ...variant }) => variant),
});

describe('a simulation', () => {
  it('loses no job, promises nothing twice, and is the same from the same seed', async () => {
    const report = await run(small());
    const again = await run(small());
    const other = await run(small({ seed: 4 }));

    for (const { arrivals, placed, refused, waiting, samples, displaced } of report.variants) {
      expect(placed + refused + waiting).toBe(arrivals);
      expect(displaced).toBeGreaterThan(0);
      expect(samples.length).toBeGreaterThan(150);
      for (const sample of samples) {
        // More than all would be something promised twice.
        for (const part of [sample.memoryFraction, sample.cpuFraction, sample.gpuMemoryFraction]) {
          expect(part).toBeGreaterThanOrEqual(0);
          expect(part).toBeLessThanOrEqual(1);
        }
      }
    }
    expect(lasting(again)).toEqual(lasting(report));
    expect(lasting(other)).not.toEqual(lasting(report));
  });

  it('gives every variant the same arrivals, and shows how they differ', async () => {
    const variants = ['bin-pack', 'spread'].map((name) => ({
      name,
      policies: { resourceAllocator: { policyRuleURI: `${name}:1.0.0-stable` } },
    }));
    const { variants: reports } = await run(small({ variants, failures: undefined }));

    expect(reports.map(({ name }) => name)).toEqual(['bin-pack', 'spread']);
    expect(reports[0]?.arrivals).toBe(reports[1]?.arrivals);
    expect(reports[0]?.mean).not.toEqual(reports[1]?.mean);
  });

  it('counts what refused, and gives up when patience ends', async () => {
    const tight = small({ arrivals: { perMinute: 4 }, patienceMinutes: 5 });
    const { variants } = await run(tight);

    expect(variants[0]?.refused).toBeGreaterThan(0);
    expect(variants[0]?.refusals[0]?.refusedBy).toContain('free.');
  });

  it('stops when asked to', async () => {
    const stop = new AbortController();
    const running = runScenario(readScenario(small()), {
      policies: builtinPolicies,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });

    await expect(running).rejects.toThrow('enough');
  });

  it('draws an SVG that is well formed, whatever the names', async () => {
    const variants = [{ name: '<a & b>' }];
    const svg = plotReport(await run(small({ variants, minutes: 30 })));

    expect(svg).toContain('&lt;a &amp; b&gt;');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<polyline/g)).toHaveLength(4);
  });
});

describe('a scenario', () => {
  it('of the examples is read', () => {
    expect(readScenario(example).variants).toHaveLength(3);
  });

  it('that is wrong says every problem with its path', () => {
    const wrong = small({ minutes: -1, jobs: [{ name: '' }], arivals: {} });

    expect(() => readScenario(wrong)).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: expect.arrayContaining([
          expect.objectContaining({ path: '$.minutes' }),
          expect.objectContaining({ path: '$.jobs[0].resources' }),
        ]),
      }),
    );
  });

  it('that would never end is refused', () => {
    expect(() => readScenario(small({ arrivals: { perMinute: 1e6 } }))).toThrow('jobs');
  });
});

describe('the queue of events', () => {
  it('gives them in the order of time, and of equal times in that of their adding', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 })), (times) => {
        const queue = new EventQueue<number>();
        for (const [order, atMs] of times.entries()) queue.add(atMs, order);
        const taken: { atMs: number; event: number }[] = [];
        for (let next = queue.next(); next; next = queue.next()) {
          taken.push({ atMs: next.atMs, event: next.event });
        }
        const sorted = times
          .map((atMs, event) => ({ atMs, event }))
          .sort((a, b) => a.atMs - b.atMs || a.event - b.event);

        expect(taken).toEqual(sorted);
      }),
    );
  });
});
