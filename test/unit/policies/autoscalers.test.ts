import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import cpuUsage from '../../../policies/autoscaler/cpu-usage-autoscaler.ts';
import gpuBased from '../../../policies/autoscaler/gpu-based-autoscaler.ts';
import { autoscalers } from '../../../policies/autoscaler/index.ts';
import predictive from '../../../policies/autoscaler/predictive.ts';
import queueDepth from '../../../policies/autoscaler/queue-depth.ts';
import schedule from '../../../policies/autoscaler/schedule.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { HookInput } from '../../../sdk/hooks.ts';
import type { MetricWindow } from '../../../sdk/metrics.ts';
import { ask, type Keeper } from './ask.ts';

const example = exampleInputs.autoscaler.evaluate;
const window = (value: number, trendPerSecond = 0): MetricWindow => ({
  ...example.metrics.outstandingRequests,
  ...{
    last: value,
    max: value,
    trendPerSecond,
    averages: { '1m': value, '5m': value, '15m': value },
  },
});
const running = (count: number, metrics: Partial<HookInput<'autoscaler'>['metrics']>) => ({
  ...example,
  block: {
    ...example.block,
    ...{ minInstances: 1, maxInstances: 8 },
    instances: Array.from({ length: count }, (_, at) => ({
      ...{ id: `in-${at}`, clusterId: 'c', nodeId: 'n' },
    })),
  },
  metrics: { ...example.metrics, staleAfterMs: 1e12, ...metrics },
});
type Answer = { readonly hold?: true; readonly instances?: number; readonly reason?: string };

describe('what every autoscaler keeps to', () => {
  it.each(autoscalers.map((policy) => [policy.name, policy] as const))(
    '%s stays between minimum and maximum, at most doubles, and holds under constant load',
    (_, policy) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 8 }),
          fc.double({ min: 0, max: 100, noNaN: true }),
          (count, load) => {
            const keeper: Keeper = { state: {} };
            const metrics = {
              cpuFraction: window(load),
              gpuUtilizationFraction: window(load),
              outstandingRequests: window(load),
              requestsPerSecond: window(load),
            };
            const first = ask<Answer>(policy, running(count, metrics), { keeper });
            if (first.instances === undefined) {
              expect(first.hold).toBe(true);
              return;
            }
            expect(first.instances).toBeGreaterThanOrEqual(1);
            expect(first.instances).toBeLessThanOrEqual(8);
            if (policy.name !== 'schedule') {
              expect(first.instances).toBeLessThanOrEqual(2 * count);
              expect(first.instances).toBeGreaterThanOrEqual(count - 1);
            }
            // Asked again at once, before anything can have changed: nothing more.
            const next = ask<Answer>(policy, running(first.instances, metrics), {
              keeper,
              now: 1000,
            });
            expect(next.hold).toBe(true);
          },
        ),
      );
    },
  );
});

/** What is measured of a block that does the same work whatever the number of its instances. */
const underLoad = (count: number, load: number) => ({
  cpuFraction: window(load / Math.max(1, count)),
  gpuUtilizationFraction: window(load / Math.max(1, count)),
  outstandingRequests: window(load),
  requestsPerSecond: window(load),
});
const stepSeconds = 15;

describe('the whole loop', () => {
  const loops = fc.record({
    begin: fc.integer({ min: 1, max: 8 }),
    // Work for a few instances of what each policy looks at: most loads must have their rest between one and eight.
    load: fc.oneof(
      fc.integer({ min: 0, max: 700 }).map((hundredths) => hundredths / 100),
      fc.integer({ min: 0, max: 400 }).map((tenths) => tenths / 10),
    ),
    scale_up_cooldown: fc.integer({ min: 0, max: 120 }),
    scale_down_cooldown: fc.integer({ min: 0, max: 120 }),
  });

  it.each(autoscalers.map((policy) => [policy.name, policy] as const))(
    '%s goes one way under constant work, waits its cooldowns, and comes to rest',
    (_, policy) => {
      fc.assert(
        fc.property(loops, ({ begin, load, ...cooldowns }) => {
          const keeper: Keeper = { state: {} };
          // The schedule has no cooldowns: it follows the clock alone.
          const settings = policy.settings.safeParse(cooldowns).success ? cooldowns : {};
          const counts = [begin];
          let changedAt = Number.NEGATIVE_INFINITY;
          for (let step = 0; step < 100; step += 1) {
            const count = counts.at(-1) ?? 0;
            const now = step * stepSeconds * 1000;
            const question = running(count, underLoad(count, load));
            const { instances } = ask<Answer>(policy, question, { keeper, settings, now });
            if (instances === undefined) continue;
            const up = instances > count;
            const { scale_up_cooldown, scale_down_cooldown } = cooldowns;
            if ('scale_up_cooldown' in settings) {
              const seconds = (now - changedAt) / 1000;
              expect(seconds).toBeGreaterThanOrEqual(up ? scale_up_cooldown : scale_down_cooldown);
            }
            changedAt = now;
            counts.push(instances);
          }

          const sorted = [...counts].sort((a, b) => a - b);
          expect(counts).toEqual((counts.at(-1) ?? 0) >= begin ? sorted : sorted.reverse());
          expect(new Set(counts).size).toBe(counts.length);
        }),
        {
          numRuns: 100,
          // 4.2 / 0.7 is a hair above 6 by one way and 6 by another.
          examples: [[{ begin: 1, load: 4.2, scale_up_cooldown: 0, scale_down_cooldown: 0 }]],
        },
      );
    },
  );

  it.each([
    ['queue-depth', queueDepth],
    ['predictive', predictive],
  ])('%s goes to none when nothing comes, and wakes when something does', (_, policy) => {
    const keeper: Keeper = { state: {} };
    const at = (minutes: number, count: number, load: number) => {
      const question = running(count, underLoad(count, load));
      const block = { ...question.block, minInstances: 0 };
      return ask<Answer>(policy, { ...question, block }, { keeper, now: minutes * 60_000 });
    };

    expect(at(0, 2, 0).instances).toBe(1);
    expect(at(5, 1, 0).instances).toBe(0);
    expect(at(10, 0, 0).hold).toBe(true);
    expect(at(15, 0, 0.2).instances).toBe(1);
  });

  it.each([
    ['cpu-usage-autoscaler', cpuUsage],
    ['gpu-based-autoscaler', gpuBased],
  ])('%s keeps one: at none there would be nothing to measure', (_, policy) => {
    const question = (count: number) => {
      const asked = running(count, underLoad(count, 0));
      return { ...asked, block: { ...asked.block, minInstances: 0 } };
    };

    expect(ask<Answer>(policy, question(1)).hold).toBe(true);
    expect(ask<Answer>(policy, question(0))).toEqual({ hold: true, reason: 'no instance runs' });
  });
});

describe('gpu-based-autoscaler', () => {
  const at = (gpu: number | undefined, cpu: number | undefined, parameters = {}) => {
    const { cpuFraction: _, ...metrics } = running(2, {}).metrics;
    const measured = {
      ...metrics,
      ...(gpu === undefined ? {} : { gpuUtilizationFraction: window(gpu) }),
      ...(cpu === undefined ? {} : { cpuFraction: window(cpu) }),
    };
    return ask<Answer>(gpuBased, { ...running(2, {}), metrics: measured }, { parameters });
  };

  it('follows the processor where, as in the published example, that is the target', () => {
    expect(at(0.1, 1, { target_cpu_utilization: 0.7 }).instances).toBe(3);
    expect(at(1, 0.1).instances).toBe(3);
  });

  it('follows of two targets the one that is missed further, and holds where that is not known', () => {
    const both = { target_cpu_utilization: 0.5, target_gpu_utilization: 0.5 };

    expect(at(0.5, 0.9, both).instances).toBe(4);
    expect(at(0.9, 0.1, both).instances).toBe(4);
    expect(at(0.1, undefined, both).hold).toBe(true);
    expect(at(undefined, 0.1, both).hold).toBe(true);
  });
});

describe('what autoscalers refuse', () => {
  it.each([0, -1, '0', 'much', 101, Number.NaN])('a target of %s', (target) => {
    expect(cpuUsage.parameters.safeParse({ target_cpu_utilization: target }).success).toBe(false);
  });

  it('decides nothing by measurements that are too old', () => {
    const question = running(2, underLoad(2, 40));
    const stale = { ...question.metrics, collectedAtMs: 60_000, staleAfterMs: 10_000 };
    const at = (now: number) => ask<Answer>(queueDepth, { ...question, metrics: stale }, { now });

    expect(at(70_000).instances).toBe(4);
    expect(at(70_001)).toEqual({ hold: true, reason: 'the measurements are too old' });
  });
});

describe('cpu-usage-autoscaler', () => {
  const parameters = { target_cpu_utilization: '60' };
  const settings = { scale_up_cooldown: 30, scale_down_cooldown: 60 };
  const at = (seconds: number, count: number, cpu: number, keeper: Keeper) =>
    ask<Answer>(cpuUsage, running(count, { cpuFraction: window(cpu) }), {
      ...{ parameters, settings, keeper, now: seconds * 1000 },
    });

  it('grows in proportion, waits its cooldown, shrinks one at a time', () => {
    const keeper: Keeper = { state: {} };

    expect(at(0, 2, 0.9, keeper)).toMatchObject({ instances: 3 });
    expect(at(10, 3, 0.9, keeper).reason).toContain('cooling down 20 s');
    expect(at(31, 3, 0.9, keeper)).toMatchObject({ instances: 5 });
    expect(at(60, 5, 0.1, keeper).hold).toBe(true);
    expect(at(95, 5, 0.1, keeper)).toMatchObject({ instances: 4 });
  });

  it('does nothing within a tenth of the target, and nothing without a measurement', () => {
    const keeper: Keeper = { state: {} };
    const { cpuFraction: _, ...unmeasured } = running(2, {}).metrics;

    expect(at(0, 2, 0.63, keeper).hold).toBe(true);
    expect(ask<Answer>(cpuUsage, { ...running(2, {}), metrics: unmeasured }).reason).toContain(
      'not known',
    );
  });
});

describe('queue-depth and predictive', () => {
  it('queue-depth counts what waits at each instance', () => {
    expect(ask<Answer>(queueDepth, running(2, { outstandingRequests: window(12) }))).toMatchObject({
      instances: 3,
    });
  });

  it('predictive asks for what will be needed, and does not believe in a falling trend', () => {
    const rising = running(2, { requestsPerSecond: window(2, 0.01) });
    const falling = running(2, { requestsPerSecond: window(2, -0.01) });

    expect(ask<Answer>(predictive, rising)).toMatchObject({ instances: 4 });
    expect(ask<Answer>(predictive, falling).hold).toBe(true);
  });
});

describe('schedule', () => {
  const parameters = {
    windows: [{ from: '22:00', to: '06:00', days: [5], instances: 4 }],
    otherwise: 1,
    utc_offset_minutes: 60,
  };
  const at = (iso: string) =>
    ask<Answer>(schedule, running(2, {}), { parameters, now: Date.parse(iso) }).instances;

  it('knows days, offsets from UTC and windows over midnight', () => {
    // 2026-11-20 is a Friday; one hour east of UTC.
    expect(at('2026-11-20T20:59:00Z')).toBe(1);
    expect(at('2026-11-20T21:00:00Z')).toBe(4);
    expect(at('2026-11-21T04:59:00Z')).toBe(4);
    expect(at('2026-11-21T05:00:00Z')).toBe(1);
    expect(at('2026-11-21T21:00:00Z')).toBe(1);
  });

  it('lasts the whole day where it ends as it begins, and stays within the limits of the block', () => {
    const always = { windows: [{ from: '08:00', to: '08:00', instances: 99 }] };
    const asked = (now: number) =>
      ask<Answer>(schedule, running(2, {}), { parameters: always, now }).instances;

    expect([asked(0), asked(8 * 3600e3), asked(-1)]).toEqual([8, 8, 8]);
  });

  it('refuses a time that is none', () => {
    const wrong = { windows: [{ from: '24:00', to: '06:00', instances: 1 }] };

    expect(schedule.parameters.safeParse(wrong).success).toBe(false);
  });
});
