import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeptLines } from '../../../runtime/split-task/kept-lines.ts';
import { createLiveTask } from '../../../runtime/split-task/live-task.ts';
import { keptLimits, type StoredTask } from '../../../runtime/split-task/task-store.ts';

function keptOf(lines: readonly string[]): readonly string[] {
  const kept = createKeptLines();
  for (const line of lines) kept.push(line);
  return kept.all();
}

test('of a log the last lines are kept: as many as fit, and no more', () => {
  const { lines: maxLines, logCharacters } = keptLimits;
  const fits = (lines: readonly string[]): boolean =>
    lines.length <= maxLines && lines.join('\n').length <= logCharacters;
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 300 }), { maxLength: 3500 }), (lines) => {
      const kept = keptOf(lines);

      expect(kept).toEqual(lines.slice(lines.length - kept.length));
      expect(fits(kept)).toBe(true);
      expect(kept.length === lines.length || !fits(lines.slice(-kept.length - 1))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('goes on from what was kept before', () => {
  const lines = Array.from({ length: 2500 }, (_, n) => `line ${n}`);
  const kept = createKeptLines(keptOf(lines.slice(0, 1300)));
  for (const line of lines.slice(1300)) kept.push(line);

  expect(kept.all()).toEqual(lines.slice(-keptLimits.lines));
});

test('of one line that is too long its beginning is kept', () => {
  const long = 'x'.repeat(keptLimits.logCharacters * 2);

  expect(keptOf(['before', long])).toEqual([long.slice(0, keptLimits.logCharacters)]);
  expect(keptOf([long, 'after'])).toEqual(['after']);
});

test('a line of a task takes the same few looks however many were said before it', () => {
  let looks = 0;
  const counted = {
    slice: () => counted,
    get length() {
      looks += 1;
      return 1;
    },
  } as unknown as string;
  const first = { task: { id: 'a' }, request: {}, lines: [] } as unknown as StoredTask;
  const live = createLiveTask({ put: async (_, { task }) => task }, 'default', first, () => {
    throw new Error('nothing fails here');
  });

  for (let n = 0; n < 20_000; n += 1) live.log(counted);

  expect(looks).toBeLessThanOrEqual(4 * 20_000);
  expect(live.stored.lines).toHaveLength(keptLimits.lines);
});
