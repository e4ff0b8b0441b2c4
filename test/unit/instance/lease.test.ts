import { afterEach, expect, it, vi } from 'vitest';
import type { Attachment } from '../../../runtime/dataplane/index.ts';
import { openLease } from '../../../runtime/instance/lease.ts';

const orphanTimeoutMs = 400;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function controlPlane() {
  let beat = () => {};
  const attachment: Attachment = {
    peerId: 'control',
    report: () => {},
    onBeat: (listener) => {
      beat = listener;
    },
    onDrain: () => {},
    onDown: () => {},
  };
  return { attachment, beat: () => beat() };
}

function lease() {
  const onOrphaned = vi.fn();
  const held = openLease({ instanceId: 'i', orphanTimeoutMs, onOrphaned, onDrain: () => {} });
  closing.push(() => held.close());
  return { held, onOrphaned };
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

it('an instance that hears of no control plane is an orphan, once', async () => {
  const { onOrphaned } = lease();
  await sleep(3 * orphanTimeoutMs);
  expect(onOrphaned).toHaveBeenCalledTimes(1);
});

it('beats keep it, and a thread that was held longer than the timeout does not lose it', async () => {
  const { held, onOrphaned } = lease();
  const { attachment, beat } = controlPlane();
  held.attach(attachment);
  const beating = setInterval(beat, 50);

  await sleep(2 * orphanTimeoutMs);
  // As an author's code may: no timer fires and no beat is read meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * orphanTimeoutMs);
  await sleep(orphanTimeoutMs);

  expect(onOrphaned).not.toHaveBeenCalled();
  clearInterval(beating);
});
