import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import cpuUsage from '../../../policies/autoscaler/cpu-usage-autoscaler.ts';
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
  metrics: { ...example.metrics, ...metrics },
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

  it('refuses a time that is none', () => {
    const wrong = { windows: [{ from: '24:00', to: '06:00', instances: 1 }] };

    expect(schedule.parameters.safeParse(wrong).success).toBe(false);
  });
});
