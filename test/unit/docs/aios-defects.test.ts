import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/aios-defects.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')))
  .map(([number = '', , , test = '']) => ({ number, test }));

describe('the page of defects', () => {
  it('has all thirty-one', () => {
    const numbers = new Set(rows.map(({ number }) => Number.parseInt(number, 10)));
    expect([...numbers]).toEqual(Array.from({ length: 31 }, (_, at) => at + 1));
  });

  it('has them in order, each part once', () => {
    const numbers = rows.map(({ number }) => number);
    const parts = numbers.map((number) => number.replace(/^\d+/, ''));
    const expected = numbers.map((number, at) => {
      const before = numbers[at - 1] ?? '';
      const isNext = Number.parseInt(before, 10) === Number.parseInt(number, 10);
      return isNext ? String.fromCharCode((parts[at - 1] ?? '').charCodeAt(0) + 1) : 'a';
    });
    // A number alone has no parts.
    expect(parts.map((part, at) => part || expected[at])).toEqual(expected);
  });

  it.each(rows)('$number names a test that there is, or says why there is none', ({ test }) => {
    if (test.startsWith('—')) {
      expect(test).toMatch(/^— \(.{10,}\)$/);
      return;
    }
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
    const path = join(root, 'test', file);
    expect(existsSync(path), path).toBe(true);
    const source = readFileSync(path, 'utf8');
    const titles = [...source.matchAll(/(['"`])((?:(?!\1).)+)\1/g)];
    expect(titles.map(([, , text]) => text)).toContain(title);
    expect(source).not.toMatch(/\.(skip|todo|only)\b/);
  });
});
