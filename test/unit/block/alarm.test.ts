import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Alarm } from '../../../runtime/block/alarm.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('rings once, at the earliest time that was asked for, whatever was asked for after it', () => {
  let rang = 0;
  const alarm = new Alarm(() => {
    rang += 1;
  });
  alarm.in(5000);
  alarm.in(250);
  alarm.in(5000);

  vi.advanceTimersByTime(250);
  expect(rang).toBe(1);
  vi.advanceTimersByTime(10_000);
  expect(rang).toBe(1);

  alarm.in(100);
  alarm.off();
  vi.advanceTimersByTime(1000);
  expect(rang).toBe(1);
  alarm.in(100);
  vi.advanceTimersByTime(100);
  expect(rang).toBe(2);
});
