import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstToGo, wantedInstances } from '../../../runtime/block/declared.ts';
import { chosen } from '../../../runtime/scaling/chosen.ts';
import { orderOf } from '../../../runtime/scaling/failures.ts';

test('whatever is asked for, the wanted number is within the limits and as near as they allow', () => {
  const limits = fc.tuple(fc.nat(50), fc.nat(50)).map(([minInstances, more]) => ({
    minInstances,
    maxInstances: minInstances + more,
  }));
  fc.assert(
    fc.property(limits, fc.option(fc.integer(), { nil: undefined }), (spec, asked) => {
      const wanted = wantedInstances(spec, asked);
      expect(wanted).toBeGreaterThanOrEqual(spec.minInstances);
      expect(wanted).toBeLessThanOrEqual(spec.maxInstances);
      const inside =
        asked !== undefined && asked >= spec.minInstances && asked <= spec.maxInstances;
      if (inside) expect(wanted).toBe(asked);
      if (asked === undefined) expect(wanted).toBe(spec.minInstances);
    }),
  );
});

test('those that are named go first, then the least used', () => {
  const instances = [
    { id: 'a', outstanding: 3 },
    { id: 'b', outstanding: 0 },
    { id: 'c', outstanding: 9 },
  ];
  expect(firstToGo(instances, ['c']).map(({ id }) => id)).toEqual(['c', 'b', 'a']);
  expect(firstToGo(instances).map(({ id }) => id)).toEqual(['b', 'a', 'c']);
});

describe('who is asked, and how often', () => {
  const reference = (settings: Record<string, unknown> = {}) => ({ parameters: {}, settings });

  test('nobody where nobody chose', () => {
    expect(chosen('autoscaler', {}, undefined, {})).toBeUndefined();
  });

  test.each([
    ['every 30 s when nothing is said', 'autoscaler', {}, 30_000],
    ['as the settings say', 'autoscaler', { intervalSeconds: 5 }, 5000],
    ['no oftener than once a second', 'autoscaler', { intervalSeconds: 0.001 }, 1000],
    ['not at once for nonsense', 'autoscaler', { intervalSeconds: -1 }, 30_000],
    ['under its own name', 'stabilityChecker', { check_interval_sec: 7 }, 7000],
    ['under its other name', 'stabilityChecker', { health_check_interval: 8 }, 8000],
  ] as const)('%s', (_name, hook, settings, everyMs) => {
    expect(chosen(hook, { [hook]: reference(settings) })).toMatchObject({ everyMs });
  });

  test("the use site's setting wins over the defaults'", () => {
    const levels = [2, 3, 4].map((intervalSeconds) => ({
      autoscaler: reference({ intervalSeconds }),
    }));
    expect(chosen('autoscaler', ...levels)).toMatchObject({ everyMs: 2000 });
    expect(chosen('autoscaler', {}, ...levels.slice(1))).toEqual({ everyMs: 3000 });
  });
});

test('a failure policy that speaks of nothing leaves the platform its own way', () => {
  expect(orderOf([])).toBeUndefined();
  expect(orderOf([{ type: 'notify', afterMs: 0 }])).toBeUndefined();
  expect(
    orderOf([
      { type: 'retry', afterMs: 5 },
      { type: 'restart', afterMs: 9 },
    ]),
  ).toEqual({ waitMs: 9 });
  expect(
    orderOf([
      { type: 'restart', afterMs: 0 },
      { type: 'give-up', afterMs: 0 },
    ]),
  ).toMatchObject({
    waitMs: Number.POSITIVE_INFINITY,
  });
});

test('a failure policy that reassigns says why its instance is to be elsewhere', () => {
  expect(orderOf([{ type: 'retry', afterMs: 5 }])).toEqual({ waitMs: 5 });
  expect(orderOf([{ type: 'reassign', afterMs: 7 }])).toEqual({
    waitMs: 7,
    elsewhere: 'it failed there',
  });
  const asked = [
    { type: 'restart', afterMs: 9 },
    { type: 'reassign', afterMs: 0, message: 'a bad disk' },
  ];
  expect(orderOf(asked)).toEqual({ waitMs: 9, elsewhere: 'a bad disk' });
});
