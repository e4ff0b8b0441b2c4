import { describe, expect, it } from 'vitest';
import {
  emptyFrame,
  encodeFrame,
  type FlowLink,
  type Frame,
  type FrameLinkOptions,
  jsonBytes,
  openFrameLink,
} from '../../../runtime/dataplane/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { memoryStreams } from './memory-stream.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
const step = (sequence: number, session = 's'): Frame => ({
  ...emptyFrame('step'),
  session,
  sequence,
});

async function pair(options: Partial<FrameLinkOptions> = {}) {
  const streams = memoryStreams();
  const [one, two] = streams;
  const open = (stream: (typeof streams)[number], selfId: string) =>
    openFrameLink({
      stream,
      selfId,
      abort: () => stream.destroy(),
      toError: (error) => AiosError.from(error, 'SHARD_UNAVAILABLE'),
      ...options,
    });
  const [sender, receiver] = await Promise.all([open(one, 'sender'), open(two, 'receiver')]);
  return { sender, receiver, one, two };
}

const codeOf = (act: () => void): string | undefined => {
  try {
    act();
  } catch (error) {
    return (error as AiosError).code;
  }
  return undefined;
};
const downOf = (link: FlowLink) =>
  new Promise<string>((resolve) => link.onDown((error) => resolve((error as AiosError).code)));

describe('a frame link', () => {
  it('knows its peer from HELLO', async () => {
    const { sender, receiver } = await pair();
    expect(sender.peerId).toBe('receiver');
    expect(receiver.peerId).toBe('sender');
  });

  it('delivers frames in order, those from before the listener included', async () => {
    const { sender, receiver } = await pair();
    const seen: number[] = [];
    sender.send(step(0));
    await settle();
    receiver.onFrame((frame) => seen.push(frame.sequence));
    for (let sequence = 1; sequence < 10; sequence += 1) sender.send(step(sequence));
    await settle();
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('holds frames back when a slow receiver grants nothing, and refuses beyond its bound', async () => {
    const { sender, receiver } = await pair({ initialCredit: 8, maxQueuedFrames: 5 });
    let received = 0;
    receiver.onFrame(() => {
      received += 1;
    });

    for (let sequence = 0; sequence < 13; sequence += 1) sender.send(step(sequence));
    await settle();

    expect(received).toBe(8);
    expect(sender.queuedFrames).toBe(5);
    expect(sender.sendable).toBe(false);
    expect(codeOf(() => sender.send(step(13)))).toBe('BUSY');
  });

  it('goes on as grants come, in batches', async () => {
    const { sender, receiver } = await pair({ initialCredit: 8 });
    const seen: number[] = [];
    let sendable = 0;
    sender.onSendable(() => {
      sendable += 1;
    });
    receiver.onFrame((frame) => {
      seen.push(frame.sequence);
      receiver.grant();
    });

    for (let sequence = 0; sequence < 200; sequence += 1) sender.send(step(sequence));
    await settle();

    expect(seen).toEqual(Array.from({ length: 200 }, (_, index) => index));
    expect(sender.queuedFrames).toBe(0);
    expect(sender.sendable).toBe(true);
    expect(sendable).toBeGreaterThan(0);
    // 200 frames, granted two at a time, and HELLO.
    expect(receiver.framesOut).toBeLessThanOrEqual(101);
  });

  it('gives less than a batch to a peer that has no credit left, while the rest is held', async () => {
    const { sender, receiver } = await pair({ initialCredit: 8 });
    const seen: number[] = [];
    receiver.onFrame((frame) => {
      seen.push(frame.sequence);
      // All others are held.
      if (frame.sequence === 0) receiver.grant();
    });

    for (let sequence = 0; sequence < 7; sequence += 1) sender.send(step(sequence));
    await settle();
    // It may send one more: the grant waits for others.
    expect([receiver.framesOut, sender.credit]).toEqual([0, 1]);
    for (let sequence = 7; sequence < 12; sequence += 1) sender.send(step(sequence));
    await expect.poll(() => seen.length).toBe(9);
    expect([receiver.framesOut, sender.queuedFrames]).toEqual([1, 3]);

    receiver.grant();
    receiver.grant();
    await expect.poll(() => seen.length).toBe(11);
    await settle();
    expect(seen).toEqual(Array.from({ length: 11 }, (_, sequence) => sequence));
  });

  it('gives nothing away to a receiver that grants twice', async () => {
    const { sender, receiver } = await pair({ initialCredit: 4 });
    let received = 0;
    receiver.onFrame(() => {
      received += 1;
      if (received === 1) for (let time = 0; time < 50; time += 1) receiver.grant();
    });

    for (let sequence = 0; sequence < 20; sequence += 1) sender.send(step(sequence));
    await settle();

    expect(received).toBe(5);
  });

  it('lets CLOSE overtake what waits, and drops the rest of its session', async () => {
    const { sender, receiver } = await pair({ initialCredit: 2 });
    const seen: string[] = [];
    receiver.onFrame((frame) => seen.push(`${frame.type} ${frame.session}`));

    for (const session of ['a', 'b', 'a', 'b', 'a']) sender.send(step(0, session));
    sender.send({ ...emptyFrame('close'), session: 'a' });
    await settle();

    expect(seen).toEqual(['step a', 'step b', 'close a']);
    expect(sender.queuedFrames).toBe(1);
  });

  it('says nothing at all of a session whose OPEN never left', async () => {
    const { sender, receiver } = await pair({ initialCredit: 1 });
    const seen: string[] = [];
    receiver.onFrame((frame) => seen.push(`${frame.type} ${frame.session}`));

    sender.send(step(0, 'a'));
    sender.send({ ...emptyFrame('open'), session: 'b' });
    sender.send({ ...emptyFrame('close'), session: 'b' });
    await settle();

    expect(seen).toEqual(['step a']);
    expect(sender.queuedFrames).toBe(0);
  });

  it('ends a peer that sends beyond its credit', async () => {
    const { receiver, one } = await pair({ initialCredit: 4 });
    receiver.onFrame(() => {});
    const down = downOf(receiver);

    for (let sequence = 0; sequence < 5; sequence += 1) one.write(encodeFrame(step(sequence)));

    expect(await down).toBe('FRAME_OUT_OF_ORDER');
    expect(receiver.up).toBe(false);
  });

  it('ends a peer that sends unreadable frames beyond its credit', async () => {
    const { receiver, one } = await pair({ initialCredit: 4 });
    receiver.onFrame(() => {});
    const down = downOf(receiver);

    for (let sequence = 0; sequence < 4; sequence += 1) one.write(encodeFrame(step(sequence)));
    one.write(Buffer.from([0x08, 99]));

    expect(await down).toBe('FRAME_OUT_OF_ORDER');
  });

  it('ends a peer that asks for answers and never reads them', async () => {
    const { receiver, one } = await pair();
    one.removeAllListeners('data');
    one.pause();
    const down = downOf(receiver);

    // Unreadable frames are dealt with at once, so their sender never runs out of credit.
    for (let sent = 0; sent < 60_000 && receiver.up; sent += 1) {
      one.write(Buffer.from([0x12, 0x01, 0x61, 0x08, 99]));
      if (sent % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }

    expect(await down).toBe('BUSY');
  });

  it('sends no frame longer than its peer takes', async () => {
    const [one, two] = memoryStreams();
    const opening = openFrameLink({
      stream: one,
      selfId: 'self',
      abort: () => one.destroy(),
      toError: (error) => AiosError.from(error),
    });
    const hello = { version: 1, peerId: 'small', credit: 9, maxFrameBytes: 1000 };
    two.write(encodeFrame({ ...emptyFrame('hello'), payload: jsonBytes(hello) }));
    const link = await opening;

    expect(codeOf(() => link.send({ ...step(0), payload: new Uint8Array(1000) }))).toBe(
      'FRAME_TOO_LARGE',
    );
    expect(codeOf(() => link.send({ ...step(0), payload: new Uint8Array(900) }))).toBe(undefined);
    expect(link.credit).toBe(8);
  });

  it('answers an unreadable frame with FAIL and goes on', async () => {
    const { sender, receiver, one } = await pair();
    const seen: number[] = [];
    const failures: Frame[] = [];
    receiver.onFrame((frame) => seen.push(frame.sequence));
    sender.onFrame((frame) => failures.push(frame));

    one.write(Buffer.from([0x08, 99]));
    sender.send(step(7));
    await settle();

    expect(seen).toEqual([7]);
    expect(failures).toHaveLength(1);
    expect(JSON.parse(Buffer.from(failures[0]!.payload).toString()).code).toBe('FRAME_MALFORMED');
  });

  it('refuses to send when it is down, and says so once to everybody who listens', async () => {
    const { sender, receiver } = await pair();
    const down = downOf(receiver);

    sender.close();

    expect(await down).toBe('SHARD_UNAVAILABLE');
    expect(await downOf(receiver)).toBe('SHARD_UNAVAILABLE');
    expect(codeOf(() => sender.send(step(0)))).toBe('SHARD_UNAVAILABLE');
    expect(codeOf(() => receiver.send(step(0)))).toBe('SHARD_UNAVAILABLE');
  });

  it('waits while the stream takes nothing, whatever the credit', async () => {
    const { sender, two } = await pair({ initialCredit: 4096, maxQueuedFrames: 100 });
    two.removeAllListeners('data');
    two.pause();

    let refused = 0;
    for (let sequence = 0; sequence < 400; sequence += 1) {
      if (codeOf(() => sender.send(step(sequence))) === 'BUSY') refused += 1;
    }

    expect(sender.queuedFrames).toBe(100);
    expect(refused).toBeGreaterThan(0);
  });

  it.each([
    [
      'speaks another version',
      { version: 2, peerId: 'x', credit: 1, maxFrameBytes: 1 },
      'UNSUPPORTED',
    ],
    [
      'says to be somebody else',
      { version: 1, peerId: 'x', credit: 1, maxFrameBytes: 1 },
      'UNAUTHENTICATED',
    ],
    ['leaves out its credit', { version: 1, peerId: 'known' }, 'FRAME_MALFORMED'],
  ])('refuses a peer that %s', async (_what, hello, code) => {
    const [one, two] = memoryStreams();
    const opening = openFrameLink({
      stream: one,
      selfId: 'self',
      expectedPeerId: 'known',
      abort: () => one.destroy(),
      toError: (error) => AiosError.from(error),
    });

    two.write(encodeFrame({ ...emptyFrame('hello'), payload: jsonBytes(hello) }));

    await expect(opening).rejects.toMatchObject({ code });
  });

  it('gives up on a peer that never says HELLO', async () => {
    const [one] = memoryStreams();
    const opening = openFrameLink({
      stream: one,
      selfId: 'self',
      helloTimeoutMs: 10,
      abort: () => one.destroy(),
      toError: (error) => AiosError.from(error),
    });
    await expect(opening).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  });
});
