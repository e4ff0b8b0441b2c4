import { expect, it } from 'vitest';
import { createSpeedProbe } from '../../../runtime/cluster/local/speed-probe.ts';

it('is tried once the machine is idle, and seldom again', async () => {
  let nowMs = 0;
  let runs = 0;
  const probe = createSpeedProbe({
    now: () => nowMs,
    delayMs: 5000,
    restMs: 60_000,
    run: async () => {
      runs += 1;
      return runs === 2 ? undefined : runs * 1e9;
    },
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  expect(probe.read(true)).toBeUndefined();
  expect(runs).toBe(0);
  nowMs = 5000;
  probe.read(false);
  expect(runs).toBe(0);
  probe.read(true);
  probe.read(true);
  await settled();
  expect(runs).toBe(1);
  expect(probe.read(true)).toBe(1e9);
  expect(runs).toBe(1);

  nowMs = 65_000;
  probe.read(true);
  await settled();
  // One that failed leaves what was known.
  expect(probe.read(true)).toBe(1e9);
  expect(runs).toBe(2);
});

it('measures something, in a thread that ends by itself', async () => {
  const probe = createSpeedProbe({ delayMs: 0 });
  probe.read(true);
  let speed: number | undefined;
  for (let tries = 0; tries < 500 && speed === undefined; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    speed = probe.read(false);
  }
  expect(speed).toBeGreaterThan(1e6);
});
