import { expect, test } from 'vitest';
import { createPace } from '../../../runtime/model/quantize/pace.ts';

test('what is left is estimated from what was made, not from what was found', () => {
  let nowMs = 0;
  const pace = createPace(1000 * 2 ** 20, () => nowMs);
  pace.add(200 * 2 ** 20, true);
  expect(pace.say()).toBe('200.0 MiB of 1000.0 MiB');
  nowMs = 10_000;
  pace.add(100 * 2 ** 20, false);
  expect(pace.say()).toBe('300.0 MiB of 1000.0 MiB, 70.0 s left');
  expect(pace.fraction).toBeCloseTo(0.3);
  pace.add(700 * 2 ** 20, false);
  expect(pace.fraction).toBe(1);
  expect(pace.say()).toBe('1000.0 MiB of 1000.0 MiB');
  // A file that grew meanwhile.
  pace.add(2 ** 20, false);
  expect(pace.say()).toBe('1001.0 MiB of 1000.0 MiB');
  expect(createPace(0).fraction).toBe(1);
});
