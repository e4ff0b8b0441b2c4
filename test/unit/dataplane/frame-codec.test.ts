import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFrame,
  emptyFrame,
  encodeFrame,
  encodeInPlace,
  type Frame,
  frameDtypes,
  frameLimits,
  frameTypes,
  payloadBytesOf,
} from '../../../runtime/dataplane/index.ts';
import { DataPlaneError } from '../../../sdk/errors.ts';
import { frameMessage } from './reference-codec.ts';

const require = createRequire(import.meta.url);
const reference = frameMessage(require.resolve('#proto/dataplane.proto'));

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const session = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter((text) => Buffer.byteLength(text) <= 64 && !text.includes('\0'));
const tensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(frameDtypes) as (keyof typeof frameDtypes)[])),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const bytes = payloadBytesOf(dtype, shape);
    return fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map((payload) => ({ dtype, shape, payload }));
  });
const json = fc.uint8Array({ maxLength: 400 }).map((payload) => ({ shape: [], payload }));
const frames: fc.Arbitrary<Frame> = fc
  .tuple(
    fc.record({
      type: fc.constantFrom(...(Object.keys(frameTypes) as (keyof typeof frameTypes)[])),
      session,
      sequence: uint32,
      position: uint32,
      rows: uint32,
      sample: fc.boolean(),
      token: uint32,
      credit: uint32,
      timings: fc.array(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), { maxLength: 128 }),
    }),
    fc.oneof(tensor, json),
  )
  .map(([head, content]) => ({ ...head, ...content }));

const plain = (frame: Frame) => ({ ...frame, payload: [...frame.payload] });

function failure(message: Uint8Array): DataPlaneError {
  try {
    decodeFrame(message);
  } catch (error) {
    expect(error).toBeInstanceOf(DataPlaneError);
    return error as DataPlaneError;
  }
  throw new Error('it was decoded');
}

describe('the frame codec', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(plain(decodeFrame(encodeFrame(frame)).frame)).toEqual(plain(frame));
      }),
    );
  });

  it('writes what protobufjs reads, and reads what protobufjs writes', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const { payload, dtype, ...rest } = frame;
        const expected = {
          ...rest,
          type: frameTypes[frame.type],
          dtype: dtype === undefined ? 0 : frameDtypes[dtype],
          payload: [...payload],
        };

        const read = reference.decode(encodeFrame(frame));
        expect(read).toEqual(expected);

        const written = reference.encode({ ...expected, payload: Buffer.from(payload) });
        expect(plain(decodeFrame(written).frame)).toEqual(plain(frame));
      }),
    );
  });

  it('writes in place exactly the bytes it writes into a buffer of its own', () => {
    fc.assert(
      fc.property(frames, ({ payload, ...head }) => {
        const buffer = new ArrayBuffer(2048 + payload.byteLength);
        new Uint8Array(buffer).set(payload, 2048);

        const message = encodeInPlace(head, buffer, 2048);

        expect(message.buffer).toBe(buffer);
        expect(message.equals(encodeFrame({ ...head, payload }))).toBe(true);
      }),
    );
  });

  it('copies instead when the header exceeds the room before the payload', () => {
    const head = {
      ...emptyFrame('step'),
      timings: Array.from({ length: 128 }, () => Number.MAX_SAFE_INTEGER),
    };
    const buffer = new ArrayBuffer(512 + 8);

    const message = encodeInPlace(head, buffer, 512);

    expect(message.buffer).not.toBe(buffer);
    expect(decodeFrame(message).frame.payload).toHaveLength(8);
  });

  it('lays the payload at a multiple of 8 behind the five bytes grpc-js puts before a message', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const message = encodeFrame(frame);
        const received = Buffer.from(new ArrayBuffer(message.length + 5));
        message.copy(received, 5);

        const { frame: read, payloadCopied } = decodeFrame(received.subarray(5));

        expect(payloadCopied).toBe(false);
        if (read.payload.byteLength > 0) {
          expect(read.payload.buffer).toBe(received.buffer);
          expect(read.payload.byteOffset % 8).toBe(0);
        }
      }),
    );
  });

  it('moves a payload that lies unaligned, and says so', () => {
    const message = encodeFrame({
      ...emptyFrame('step'),
      dtype: 'float32',
      shape: [2],
      payload: new Uint8Array(8),
    });
    const shifted = new Uint8Array(new ArrayBuffer(message.length + 8), 4, message.length);
    shifted.set(message);

    const { frame, payloadCopied } = decodeFrame(shifted);

    expect(payloadCopied).toBe(true);
    expect(frame.payload.byteOffset % 8).toBe(0);
  });

  it('skips fields of later versions', () => {
    const later = Buffer.from([0xa0, 0x06, 0x07, 0xaa, 0x06, 0x01, 0xff, 0xb5, 0x06, 1, 2, 3, 4]);
    const message = Buffer.concat([encodeFrame({ ...emptyFrame('close'), session: 's' }), later]);
    expect(decodeFrame(message).frame).toMatchObject({ type: 'close', session: 's' });
  });

  it('answers any bytes at all with a frame or FRAME_MALFORMED', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeFrame(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DataPlaneError);
          expect((error as DataPlaneError).code).toBe('FRAME_MALFORMED');
          expect((error as DataPlaneError).details.offset).toBeTypeOf('number');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('answers every truncation and every flipped byte with a frame or FRAME_MALFORMED', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, at, flip) => {
        const message = encodeFrame(frame);
        const cut = message.subarray(0, at % message.length);
        const bent = Buffer.from(message);
        bent[at % message.length] = (bent[at % message.length] ?? 0) ^ flip;
        for (const bytes of [cut, bent]) {
          try {
            decodeFrame(bytes);
          } catch (error) {
            expect((error as DataPlaneError).code).toBe('FRAME_MALFORMED');
          }
        }
      }),
    );
  });

  it.each([
    ['a frame without a type', [0x12, 1, 0x61]],
    ['an unknown type', [0x08, 99]],
    ['an unknown dtype', [0x08, 3, 0x30, 42]],
    ['a session of 65 bytes', [0x08, 3, 0x12, 65, ...Array(65).fill(0x61)]],
    ['a session that is not UTF-8', [0x08, 3, 0x12, 2, 0xc3, 0x28]],
    ['nine sizes in a shape', [0x08, 3, 0x30, 1, 0x3a, 9, ...Array(9).fill(1)]],
    ['129 timings', [0x08, 3, 0x5a, 0x81, 0x01, ...Array(129).fill(1)]],
    ['a payload shorter than its shape', [0x08, 3, 0x30, 1, 0x3a, 1, 2, 0x7a, 4, 0, 0, 0, 0]],
    ['a shape without a dtype', [0x08, 3, 0x3a, 1, 2]],
    ['a payload longer than the message', [0x08, 3, 0x7a, 0xff, 0xff, 0xff, 0x7f, 0]],
    ['a number of eleven bytes', [0x08, ...Array(10).fill(0x80), 1]],
    ['a sequence beyond 32 bits', [0x08, 3, 0x18, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a list that ends inside a number', [0x08, 3, 0x3a, 1, 0x80, 0x01]],
    ['text where a number belongs', [0x0a, 1, 1]],
    ['a group', [0x08, 3, 0x0b]],
    ['field number 0', [0x00, 1]],
  ])('refuses %s', (_what, bytes) => {
    expect(failure(Uint8Array.from(bytes)).code).toBe('FRAME_MALFORMED');
  });

  it('refuses a frame over the limit and still says whose it was', () => {
    const payload = Buffer.alloc(frameLimits.maxFrameBytes + 1);
    const message = reference.encode({ type: 3, session: 'large', payload });

    const error = failure(message);

    expect(error.code).toBe('FRAME_TOO_LARGE');
    expect(error.details.session).toBe('large');
  });

  it('refuses to write what it would refuse to read', () => {
    const refused = (frame: Partial<Frame>) => {
      try {
        encodeFrame({ ...emptyFrame('step'), ...frame });
      } catch (error) {
        return (error as DataPlaneError).code;
      }
      return undefined;
    };
    expect(refused({ session: 'x'.repeat(65) })).toBe('FRAME_MALFORMED');
    expect(refused({ shape: Array(9).fill(1) })).toBe('FRAME_MALFORMED');
    expect(refused({ timings: Array(129).fill(1) })).toBe('FRAME_MALFORMED');
    expect(refused({ payload: Buffer.alloc(frameLimits.maxFrameBytes) })).toBe('FRAME_TOO_LARGE');
  });
});
