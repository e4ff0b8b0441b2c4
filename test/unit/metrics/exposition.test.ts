import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExposition } from '../../../runtime/metrics/exposition.ts';
import { parseExposition } from './exposition-grammar.ts';

const family = { name: 'aios_x_bytes', type: 'gauge', help: 'What x is.' } as const;

describe('the text format', () => {
  it('gives back any label and any number that was put in', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.string({ maxLength: 40 }),
            fc.double({ noNaN: true, noDefaultInfinity: true }),
          ),
          { maxLength: 10 },
        ),
        (samples) => {
          const out = createExposition(100);
          for (const [text, value] of samples) out.add(family, { node: text }, value);
          const parsed = parseExposition(String(out));

          expect(parsed.flatMap((one) => one.samples)).toEqual(
            samples.map(([text, value]) => ({
              name: family.name,
              labels: { node: text },
              value: Object.is(value, -0) ? 0 : value,
            })),
          );
        },
      ),
    );
  });

  it('keeps the samples of a family together, after its help and type', () => {
    const out = createExposition(100);
    const other = { name: 'aios_y_total', type: 'counter', help: 'back\\slash\nand line' } as const;
    out.add(family, { a: '1' }, 1);
    out.add(other, {}, 2);
    out.add(family, { a: '2' }, 3e21);

    expect(String(out)).toBe(
      [
        ...['# HELP aios_x_bytes What x is.', '# TYPE aios_x_bytes gauge'],
        ...['aios_x_bytes{a="1"} 1', 'aios_x_bytes{a="2"} 3e+21'],
        ...['# HELP aios_y_total back\\\\slash\\nand line', '# TYPE aios_y_total counter'],
        ...['aios_y_total 2', ''],
      ].join('\n'),
    );
  });

  it('leaves out what is no number, and counts what there was no room for', () => {
    const out = createExposition(2);
    for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY, 1, 2, 3, 4]) {
      out.add(family, { a: 'x'.repeat(10_000) }, value);
    }

    expect(out.dropped).toBe(2);
    expect(String(out).length).toBeLessThan(1000);
    expect(String(createExposition(1))).toBe('');
  });

  it('refuses names that are none', () => {
    const out = createExposition(9);

    expect(() => out.add({ ...family, name: 'a b' }, {}, 1)).toThrow("'a b'");
    expect(() => out.add(family, { 'a-b': '' }, 1)).toThrow("'a-b'");
  });
});
