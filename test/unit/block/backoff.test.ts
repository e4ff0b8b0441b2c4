import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from '../../../runtime/block/backoff.ts';

test('the first failure is healed at once, later ones after growing pauses of at most 30 s', () => {
  expect([0, 1, 2, 3, 4].map(backoffMs)).toEqual([0, 0, 500, 1000, 2000]);

  fc.assert(
    fc.property(fc.nat(10_000), (failures) => {
      expect(backoffMs(failures)).toBeLessThanOrEqual(30_000);
      expect(backoffMs(failures + 1)).toBeGreaterThanOrEqual(backoffMs(failures));
    }),
  );
});
