import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLinkMeter } from '../../../runtime/dataplane/link-meter.ts';

/** A link with a clock of its own: what is sent takes its time, and every ping is echoed. */
function link(latencyMs: number, bytesPerSecond: number, noise = (): number => 0) {
  let nowMs = 0;
  const pings: number[] = [];
  const waiting: (() => void)[] = [];
  const meter = createLinkMeter({
    now: () => nowMs,
    ping(ping, paddingBytes) {
      pings.push(paddingBytes);
      const bytes = paddingBytes + frameBytes;
      waiting.push(() => {
        nowMs += 2 * latencyMs + (bytes / bytesPerSecond) * 1000 + noise();
        meter.echoed(ping);
      });
    },
  });
  let frameBytes = 0;
  return {
    meter,
    pings,
    /** A frame leaves, and what it makes the meter ask is answered. */
    send(bytes: number) {
      frameBytes = bytes;
      meter.sent(bytes);
      for (let answer = waiting.shift(); answer; answer = waiting.shift()) {
        answer();
        frameBytes = 0;
      }
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

it('knows a slow link after its first frame', () => {
  const { meter, send, pings } = link(20, 1e6);
  expect(meter.speed).toBeUndefined();
  send(0);
  expect(meter.speed?.latencyMs).toBeCloseTo(20);
  expect(meter.speed?.bytesPerSecond ?? 0).toBeGreaterThan(0.9e6);
  expect(meter.speed?.bytesPerSecond ?? 0).toBeLessThan(1.1e6);
  expect(pings).toEqual([0, 16_384]);
});

it('tries a quick link with more bytes, and never says that it is quicker than it could tell', () => {
  const { meter, send, pings } = link(0.1, 1e12);
  send(0);
  expect(pings).toEqual([0, 16_384, 65_536, 65_536, 65_536]);
  expect(meter.speed?.bytesPerSecond).toBeLessThan(1e10);
});

it('asks once a second at most, and behind frames that tell something for nothing', () => {
  const { meter, send, pings, pass } = link(5, 1e6);
  send(0);
  const asked = pings.length;
  for (let frame = 0; frame < 100; frame += 1) send(100_000);
  expect(pings).toHaveLength(asked);
  pass(1000);
  send(100_000);
  expect(pings.slice(asked)).toEqual([0]);
  expect(meter.speed?.latencyMs).toBeCloseTo(5);
});

it('follows a link that changes, and forgives a peer that was busy once', () => {
  let extraMs = 0;
  const { meter, send, pass } = link(1, 1e8, () => extraMs);
  send(0);
  const usual = meter.speed?.latencyMs ?? 0;
  extraMs = 800;
  pass(1000);
  send(10);
  extraMs = 0;
  expect(meter.speed?.latencyMs).toBeLessThan(usual + 60);
  for (let times = 0; times < 10; times += 1) {
    pass(1000);
    send(10);
  }
  expect(meter.speed?.latencyMs).toBeLessThan(1.2);
});

it('takes the quickest of the last transfers, and forgets them with time', () => {
  let extraMs = 0;
  const { meter, send, pass } = link(1, 1e6, () => extraMs);
  send(0);
  extraMs = 500;
  for (let times = 0; times < 5; times += 1) {
    pass(1000);
    send(64 * 2 ** 10);
  }
  expect(meter.speed?.bytesPerSecond ?? 0).toBeGreaterThan(0.9e6);
  for (let times = 0; times < 5; times += 1) {
    pass(1000);
    send(64 * 2 ** 10);
  }
  expect(meter.speed?.bytesPerSecond ?? 0).toBeLessThan(0.2e6);
});

it('tries a link of small frames again now and then, shortly', () => {
  const { send, pass, pings } = link(1, 1e6);
  for (let times = 0; times < 40; times += 1) {
    send(100);
    pass(1000);
  }
  const later = pings.slice(2).filter((bytes) => bytes > 0);
  expect(later.length).toBeGreaterThan(0);
  expect(later.length).toBeLessThan(4);
  for (const bytes of later) expect(bytes).toBeLessThanOrEqual(11_000);
});

it('goes on when an echo never comes', () => {
  let nowMs = 0;
  const pings: number[] = [];
  const meter = createLinkMeter({ now: () => nowMs, ping: (ping) => pings.push(ping) });
  meter.sent(10);
  meter.sent(10);
  expect(pings).toEqual([1]);
  nowMs = 10_000;
  meter.sent(10);
  expect(pings).toEqual([1, 2]);
  meter.echoed(1);
  expect(meter.speed).toBeUndefined();
  nowMs = 10_004;
  meter.echoed(2);
  expect(meter.speed).toEqual({ latencyMs: 2 });
});

it('stays within a fifth of any link that is slower than its own noise', () => {
  const latency = fc.double({ min: 0.5, max: 200, noNaN: true });
  fc.assert(
    fc.property(latency, fc.double({ min: 1e4, max: 1e6, noNaN: true }), (latencyMs, bandwidth) => {
      const { meter, send, pass } = link(latencyMs, bandwidth);
      send(0);
      for (let times = 0; times < 20; times += 1) {
        pass(1000);
        send(64 * 2 ** 10);
      }
      const { latencyMs: seen, bytesPerSecond = 0 } = meter.speed ?? { latencyMs: 0 };
      expect(seen / latencyMs).toBeGreaterThan(0.8);
      expect(seen / latencyMs).toBeLessThan(1.2);
      const transferMs = (65_536 / bandwidth) * 1000;
      fc.pre(transferMs > latencyMs);
      expect(bytesPerSecond / bandwidth).toBeGreaterThan(0.8);
      expect(bytesPerSecond / bandwidth).toBeLessThan(1.25);
    }),
  );
});

it('finds out that its first round trip was measured behind other frames', () => {
  let nowMs = 0;
  let behindMs = 1300;
  let answer = () => {};
  const meter = createLinkMeter({
    now: () => nowMs,
    ping(ping, paddingBytes) {
      answer = () => {
        nowMs += 2 + behindMs + paddingBytes / 200;
        behindMs = 0;
        answer = () => {};
        meter.echoed(ping);
      };
    },
  });
  for (let times = 0; times < 15; times += 1) {
    meter.sent(0);
    answer();
    answer();
    nowMs += 1000;
  }
  expect(meter.speed?.latencyMs ?? 0).toBeLessThan(1.2);
  expect(meter.speed?.bytesPerSecond ?? 0).toBeGreaterThan(0.8 * 200_000);
  expect(meter.speed?.bytesPerSecond ?? 0).toBeLessThan(1.25 * 200_000);
});
