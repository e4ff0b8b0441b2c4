import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, parseBytes, parseDurationMs } from '../../../sdk/units.ts';

describe('bytes', () => {
  it.each([
    ['0', 0],
    [17, 17],
    ['1k', 1000],
    ['500MB', 500_000_000],
    ['2Gi', 2 ** 31],
    ['1.5 KiB', 1536],
    [' 3 ti ', 3 * 2 ** 40],
  ])('%j is %i', (text, expected) => {
    expect(parseBytes(text)).toBe(expected);
  });

  it.each(['', 'Gi', '-1', '1e3', '2 gigs', '1..2', 'NaN', '99999999999999999999', Number.NaN, -1])(
    '%j is none',
    (text) => {
      expect(() => parseBytes(text)).toThrow(
        expect.objectContaining({ code: 'QUANTITY_MALFORMED' }),
      );
    },
  );

  it('keep their value, whatever the unit', () => {
    const units = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, KB: 1e3, mb: 1e6, G: 1e9 };
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.constantFrom(...Object.entries(units)),
        (count, [unit, factor]) => {
          expect(parseBytes(`${count}${unit}`)).toBe(count * factor);
        },
      ),
    );
  });

  it('are printed for people, and read back within the precision shown', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (bytes) => {
        const back = parseBytes(formatBytes(bytes));
        expect(Math.abs(back - bytes)).toBeLessThanOrEqual(bytes * 0.05 + 1);
      }),
    );
    expect(formatBytes(1.5 * 2 ** 30)).toBe('1.5 GiB');
  });
});

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    [1500, 1500],
    ['2d', 172_800_000],
  ])('%j is %i ms', (text, expected) => {
    expect(parseDurationMs(text)).toBe(expected);
  });

  it('refuse what is none', () => {
    expect(() => parseDurationMs('5 minutes')).toThrow(
      expect.objectContaining({ code: 'QUANTITY_MALFORMED' }),
    );
  });

  it.each([
    [1.5, '1.50 ms'],
    [412, '412 ms'],
    [3210, '3.2 s'],
    [300_000, '5 min'],
  ])('of %d ms are printed as %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });
});
