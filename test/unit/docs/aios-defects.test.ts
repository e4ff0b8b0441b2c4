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

  it.each(rows)('$number names a test that there is, or says why there is none', ({ test }) => {
    if (test.startsWith('—')) {
      expect(test).toMatch(/^— \(.{10,}\)$/);
      return;
    }
    const [, file = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
    const path = join(root, 'test', file);
    expect(existsSync(path), path).toBe(true);
    const titles = [...readFileSync(path, 'utf8').matchAll(/(['"`])((?:(?!\1).)+)\1/g)];
    expect(titles.map(([, , text]) => text)).toContain(title);
  });
});
