import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MessageStream } from '../../../runtime/dataplane/index.ts';
import { farewell, readNote, receivedNote } from '../../../runtime/dataplane/link-notes.ts';
import { createResendBuffer, createResendPool } from '../../../runtime/dataplane/resend-buffer.ts';
import {
  createResumableStream,
  type ResumableStream,
} from '../../../runtime/dataplane/resumable-stream.ts';

describe('notes of a link', () => {
  it('are read as they were written, and no frame is taken for one', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (messages) => {
        expect(readNote(receivedNote(messages))).toEqual({ type: 'received', messages });
      }),
    );
    expect(readNote(farewell)).toEqual({ type: 'farewell' });
    expect(readNote(Buffer.from([8, 3, 18, 1, 97]))).toBeUndefined();
    expect(readNote(Buffer.alloc(0))).toBeUndefined();
    expect(readNote(Buffer.concat([receivedNote(3), Buffer.alloc(40)]))).toBeUndefined();
  });
});

describe('what is kept to be sent again', () => {
  const message = (index: number) => Buffer.from(String(index));

  it('is what was not acknowledged, whatever the peer says', () => {
    const said = fc.array(fc.oneof(fc.constant('push'), fc.nat(60), fc.integer()), {
      maxLength: 80,
    });
    fc.assert(
      fc.property(said, fc.nat(80), (commands, from) => {
        const buffer = createResendBuffer();
        let acknowledged = 0;
        for (const command of commands) {
          if (command === 'push') buffer.push(message(buffer.sent));
          else {
            const count = Number(command);
            if (count > acknowledged && count <= buffer.sent) acknowledged = count;
            buffer.acknowledged(count);
          }
        }
        const expected =
          from < acknowledged || from > buffer.sent
            ? undefined
            : Array.from({ length: buffer.sent - from }, (_, index) => message(from + index));
        expect(buffer.since(from)).toEqual(expected);
      }),
    );
  });

  it('is bounded: a peer that acknowledges nothing cannot resume, and costs no more', () => {
    const buffer = createResendBuffer();
    for (let index = 0; index < 100; index += 1) buffer.push(Buffer.alloc(2 ** 20));
    expect(buffer.sent).toBe(100);
    expect(buffer.since(0)).toBeUndefined();
    expect(buffer.since(99)).toHaveLength(1);
  });

  it('keeps a small part of a large buffer without the rest of it', () => {
    const buffer = createResendBuffer();
    const large = Buffer.alloc(2 ** 20, 7);
    buffer.push(large.subarray(0, 2 ** 18));
    buffer.push(large);
    const [part, whole] = buffer.since(0) ?? [];
    expect(part?.buffer.byteLength).toBe(2 ** 18);
    expect(part?.every((byte) => byte === 7)).toBe(true);
    expect(whole).toBe(large);
  });

  it('is bounded for all links together: the one that keeps most pays, and one that is over gives its part back', () => {
    const pool = createResendPool(100);
    const [small, large, late] = [1, 2, 3].map(() => createResendBuffer(pool));
    small?.push(Buffer.alloc(10));
    for (let index = 0; index < 9; index += 1) large?.push(Buffer.alloc(10));
    expect(pool.bytes).toBe(100);
    late?.push(Buffer.alloc(10));
    expect(pool.bytes).toBe(60);
    expect(small?.since(0)).toHaveLength(1);
    expect(large?.since(0)).toBeUndefined();
    expect(large?.since(5)).toHaveLength(4);

    large?.close();
    large?.push(Buffer.alloc(10));
    late?.acknowledged(1);
    expect([pool.bytes, pool.buffers.size]).toEqual([10, 2]);
  });
});

/** Two ends over connections that lose what is on its way when they are cut. */
function pair() {
  type Wire = { heard: Map<string, ((value?: never) => void)[]>; cut: boolean };
  const wires = (): readonly [Wire, Wire] => [
    { heard: new Map(), cut: false },
    { heard: new Map(), cut: false },
  ];
  const under: (() => void)[] = [];
  const streamOf = (own: Wire, other: Wire): MessageStream => ({
    write(message) {
      under.push(() => {
        if (!own.cut)
          for (const listener of other.heard.get('data') ?? []) listener(message as never);
      });
      return true;
    },
    end() {},
    on(event: string, listener: never) {
      own.heard.set(event, [...(own.heard.get(event) ?? []), listener]);
    },
  });
  let now = wires();
  const ends: ResumableStream[] = [];
  const got: number[][] = [[], []];
  for (const index of [0, 1] as const) {
    const stream = createResumableStream({
      carrier: streamOf(now[index], now[1 - index] as Wire),
      isLoss: () => true,
      onLost: () => {},
    });
    stream.on('data', (message) => got[index]?.push(message.readUInt32LE()));
    ends.push(stream);
  }
  const [a, b] = ends as [ResumableStream, ResumableStream];
  return {
    ...{ a, b, got },
    /** What was written first comes first. */
    deliver: (count: number) => {
      for (const arrive of under.splice(0, count)) arrive();
    },
    cut() {
      for (const wire of now) {
        wire.cut = true;
        for (const listener of wire.heard.get('close') ?? []) listener();
      }
    },
    mend() {
      now = wires();
      const [toB, toA] = [a.received, b.received];
      a.resume(streamOf(now[0], now[1]), toA);
      b.resume(streamOf(now[1], now[0]), toB);
    },
  };
}

describe('a stream that outlives its connections', () => {
  it('brings every message once and in order, wherever it is cut', () => {
    const command = fc.oneof(
      fc.constant('a' as const),
      fc.constant('b' as const),
      fc.constant('cut' as const),
      fc.nat(8),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const { a, b, got, deliver, cut, mend } = pair();
        const sent = [0, 0];
        const send = (stream: ResumableStream, index: 0 | 1) => {
          const message = Buffer.alloc(4);
          message.writeUInt32LE(sent[index] ?? 0);
          sent[index] = (sent[index] ?? 0) + 1;
          stream.write(message);
        };
        for (const one of commands) {
          if (one === 'a') send(a, 0);
          else if (one === 'b') send(b, 1);
          else if (one === 'cut') {
            if (!a.lost) cut();
          } else if (a.lost) mend();
          else deliver(one);
        }
        if (a.lost) mend();
        deliver(Number.POSITIVE_INFINITY);
        // Acknowledgements may still be on their way.
        deliver(Number.POSITIVE_INFINITY);
        const upTo = (count = 0) => Array.from({ length: count }, (_, index) => index);
        expect(got).toEqual([upTo(sent[1]), upTo(sent[0])]);
      }),
    );
  });

  it('is over for its user when no other connection takes the place of a lost one', () => {
    const { a, cut } = pair();
    const events: string[] = [];
    a.on('error', ({ message }) => events.push(message));
    a.on('close', () => events.push('close'));
    cut();
    expect(a.lost).toBe(true);
    expect(a.write(Buffer.from([8]))).toBe(false);
    a.giveUp(new Error('too long'));
    a.giveUp(new Error('again'));
    expect(events).toEqual(['too long', 'close']);
    expect(a.lost).toBe(false);
  });
});
