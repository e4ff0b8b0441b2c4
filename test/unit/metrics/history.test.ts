import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CounterSum } from '../../../runtime/metrics/counter-sum.ts';
import { History } from '../../../runtime/metrics/history.ts';
import { increase, rate, rates, trend } from '../../../runtime/metrics/series.ts';
import { gaugeWindow, rateWindow, ratioWindow } from '../../../runtime/metrics/window.ts';

const minute = 60_000;

/** One reading every `stepMs`, from 1 on. */
function filled(values: readonly number[], stepMs = 1000, capacity = 2000): History {
  const history = new History(['x'], capacity);
  for (const [at, x] of values.entries()) history.record(1 + at * stepMs, { x });
  return history;
}

describe('the ring', () => {
  it('keeps the newest readings in order, whatever its size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { maxLength: 200 }),
        fc.integer({ min: 2, max: 50 }),
        (values, capacity) => {
          const found = filled(values, 1000, capacity).readings('x', 1e9);

          expect(found.values).toEqual(values.slice(-capacity));
          expect(found.times).toEqual(found.times.toSorted((a, b) => a - b));
        },
      ),
    );
  });

  it('never takes more memory than its limit, however long it is written to', () => {
    const history = new History(['a', 'b', 'c'], 100);
    for (let at = 1; at <= 10_000; at += 1) history.record(at, { a: at, b: 1 });

    expect(history.length).toBe(100);
    expect(history.byteLength).toBe(100 * 8 * 4);
  });

  it('takes little for what lives for a moment', () => {
    const history = new History(['a'], 100_000);
    history.record(1, { a: 1 });

    expect(history.byteLength).toBeLessThan(1000);
  });

  it('refuses a reading that is not newer, and leaves out what was not known', () => {
    const history = new History(['a', 'b'], 10);
    history.record(5, { a: 1 });
    history.record(5, { a: 2, b: 2 });
    history.record(4, { a: 3, b: 3 });
    history.record(6, { b: 4 });
    history.record(Number.NaN, { b: 5 });

    expect(history.readings('a', 1000)).toEqual({ times: [5], values: [1] });
    expect(history.readings('b', 1000)).toEqual({ times: [6], values: [4] });
    expect(history.readings('c', 1000)).toEqual({ times: [], values: [] });
  });
});

describe('series', () => {
  it('finds the slope of a line, at the size of Unix milliseconds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -50, max: 50 }),
        fc.integer({ min: -1000, max: 1000 }),
        fc.integer({ min: 2, max: 100 }),
        (slope, base, count) => {
          const times = Array.from({ length: count }, (_, at) => 1_790_000_000_000 + at * 500);
          const values = times.map((_, at) => base + (slope * at) / 2);

          expect(trend({ times, values })).toBeCloseTo(slope, 6);
        },
      ),
    );
  });

  it('counts growth over resets, and never below zero', () => {
    const times = [0, 1000, 2000, 3000];

    expect(increase({ times, values: [100, 130, 5, 25] })).toBe(55);
    expect(rate({ times, values: [100, 130, 5, 25] })).toBeCloseTo(55 / 3);
    expect(rates({ times, values: [100, 130, 5, 25] }).values).toEqual([30, 5, 20]);
    expect(increase({ times: [0], values: [7] })).toBeUndefined();
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 2 }), (values) => {
        expect(increase({ times: values.map((_, at) => at), values })).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('a counter over several things', () => {
  it('does not fall when one vanishes, nor jump when it comes back or starts again', () => {
    const sum = new CounterSum();
    const known = new Set(['a', 'b']);
    const add = (counters: Record<string, number>) =>
      sum.add(new Map(Object.entries(counters)), known);

    expect(add({ a: 1000, b: 50 })).toBe(0);
    expect(add({ a: 1010, b: 60 })).toBe(20);
    expect(add({ b: 65 })).toBe(25);
    expect(add({ a: 1020, b: 65 })).toBe(35);
    expect(add({ a: 3, b: 65 })).toBe(38);
  });
});

describe('windows', () => {
  it('average each length for itself, up to the last reading', () => {
    const values = Array.from({ length: 20 * 60 }, (_, second) => second);
    const window = gaugeWindow(filled(values), 'x');
    const mean = (seconds: number) => 1199 - seconds / 2;

    expect(window).toMatchObject({ last: 1199, max: 1199, samples: 901, coveredMs: 15 * minute });
    expect(window?.averages).toEqual({ '1m': mean(60), '5m': mean(300), '15m': mean(900) });
    expect(window?.trendPerSecond).toBeCloseTo(1);
  });

  it('are plain data of one reading, and nothing of none', () => {
    const one = gaugeWindow(filled([4]), 'x');

    expect(one).toEqual({
      ...{ last: 4, atMs: 1, averages: { '1m': 4, '5m': 4, '15m': 4 } },
      ...{ max: 4, trendPerSecond: 0, samples: 1, coveredMs: 0 },
    });
    expect(JSON.parse(JSON.stringify(one))).toEqual(one);
    expect(gaugeWindow(filled([]), 'x')).toBeUndefined();
    expect(rateWindow(filled([]), 'x')).toBeUndefined();
    expect(rateWindow(filled([9]), 'x')).toMatchObject({ last: 0, averages: { '15m': 0 } });
  });

  it('turn a counter into its rate, over a reset too', () => {
    const counted = Array.from({ length: 300 }, (_, at) => (at < 200 ? at * 6 : (at - 200) * 6));
    const window = rateWindow(filled(counted), 'x');

    expect(window?.last).toBeCloseTo(6);
    expect(window?.averages['1m']).toBeCloseTo(6);
    // At the reset one step of growth is unknown.
    expect(window?.averages['5m']).toBeCloseTo((298 * 6) / 299);
    expect(window?.max).toBeCloseTo(6);
  });

  it('weigh a ratio by its steps, and fall back to the longer window where nothing happened', () => {
    const history = new History(['ms', 'count'], 2000);
    // 10 requests of 100 ms, then one of 1000 ms, then ten minutes of nothing.
    history.record(1, { ms: 0, count: 0 });
    history.record(1001, { ms: 1000, count: 10 });
    history.record(2001, { ms: 2000, count: 11 });
    for (let at = 1; at <= 600; at += 1) history.record(2001 + at * 1000, { ms: 2000, count: 11 });
    const window = ratioWindow(history, 'ms', 'count');

    expect(window?.last).toBe(1000);
    expect(window?.atMs).toBe(2001);
    const overall = 2000 / 11;
    expect(window?.averages).toEqual({ '1m': overall, '5m': overall, '15m': overall });
    expect(ratioWindow(filled([1]), 'x', 'x')).toBeUndefined();
  });
});
