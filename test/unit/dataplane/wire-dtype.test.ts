import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halfBits, halfValue } from '../../../runtime/dataplane/half.ts';
import {
  decodeActivations,
  decodeFrame,
  emptyFrame,
  encodeActivations,
  encodeFrame,
  encodeInPlace,
  type Frame,
  type FrameDtype,
} from '../../../runtime/dataplane/index.ts';
import type { WireDtype } from '../../../sdk/spec/wire-dtype.ts';

const headroom = 512;
const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;

/** What a shard computed, as it lies in its buffer. */
function computed(values: ArrayLike<number>): ArrayBuffer {
  const buffer = new ArrayBuffer(headroom + 4 * values.length);
  new Float32Array(buffer, headroom).set(values);
  return buffer;
}

/** Encodes, sends as one message, and reads what came. */
function overTheWire(dtype: WireDtype, values: ArrayLike<number>, rows: number) {
  const buffer = computed(values);
  const sent = encodeActivations(dtype, buffer, headroom, rows);
  const message = encodeInPlace(
    {
      ...{ ...emptyFrame('step'), session: 's', sequence: 1, rows },
      ...{ dtype: sent.dtype, shape: [rows, values.length / rows] },
    },
    buffer,
    sent.payloadOffset,
  );
  // As grpc-js hands it over: five bytes of framing before the message.
  const received = Buffer.concat([Buffer.alloc(5), message]);
  const aligned = new Uint8Array(new ArrayBuffer(received.length));
  aligned.set(received);
  const decoded = decodeFrame(aligned.subarray(5));
  const bytes = decodeActivations(decoded.frame);
  return {
    ...decoded,
    sent,
    message,
    buffer,
    values: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4),
  };
}

const finite = (most: number) =>
  fc.float({ min: -Math.fround(most), max: Math.fround(most), noNaN: true });
const tensor = (value: fc.Arbitrary<number>) =>
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 })).chain(([rows, width]) =>
    fc.record({
      rows: fc.constant(rows),
      values: fc.array(value, { minLength: rows * width, maxLength: rows * width }),
    }),
  );

describe('halves', () => {
  it('every one of them survives the way to fp32 and back', () => {
    for (let half = 0; half < 2 ** 16; half += 1) {
      const value = halfValue(half);
      if (Number.isNaN(value)) expect(halfBits(bitsOf(value)) & 0x7fff).toBeGreaterThan(0x7c00);
      else if (halfBits(bitsOf(value)) !== half) throw new Error(`${half} became another half`);
    }
  });

  it('are the nearest to a value, ties to even', () => {
    fc.assert(
      fc.property(fc.oneof(finite(65_519), finite(2 ** -13)), (value) => {
        const half = halfBits(bitsOf(value));
        const seen = halfValue(half);
        const error = Math.abs(seen - value);
        for (const neighbour of [half - 1, half + 1]) {
          const other = halfValue(neighbour & 0xffff);
          if (!Number.isFinite(other) || other * seen < 0) continue;
          const otherError = Math.abs(other - value);
          expect(error).toBeLessThanOrEqual(otherError);
          if (error === otherError && other !== seen) expect(half & 1).toBe(0);
        }
      }),
    );
  });
});

describe('activations on the wire', () => {
  it('as fp32 are the bytes that were computed, where they lay', () => {
    fc.assert(
      fc.property(tensor(fc.float()), ({ values, rows }) => {
        const { message, buffer, values: seen, payloadCopied } = overTheWire('fp32', values, rows);
        expect(new Uint8Array(seen.buffer, seen.byteOffset, seen.byteLength)).toEqual(
          new Uint8Array(Float32Array.from(values).buffer),
        );
        expect(message.buffer).toBe(buffer);
        expect(payloadCopied).toBe(false);
      }),
    );
  });

  it('as fp16 are the nearest halves, in half the bytes, and nothing is allocated to send them', () => {
    const value = fc.oneof(
      finite(65_000),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 2 ** -24),
    );
    fc.assert(
      fc.property(tensor(value), ({ values, rows }) => {
        const { message, buffer, frame, values: seen } = overTheWire('fp16', values, rows);
        expect([...seen]).toEqual(values.map((one) => halfValue(halfBits(bitsOf(one)))));
        expect(frame).toMatchObject({ dtype: 'float16' });
        expect(frame.payload.byteLength).toBe(2 * values.length);
        expect(message.buffer).toBe(buffer);
      }),
    );
  });

  it('as int8 are off by half a scale at most, a scale a row', () => {
    fc.assert(
      fc.property(tensor(fc.oneof(finite(1e38), finite(1), finite(1e-40))), ({ values, rows }) => {
        const { frame, values: seen } = overTheWire('int8', values, rows);
        const width = values.length / rows;
        expect(frame.dtype).toBe('int8scaled');
        expect(frame.payload.byteLength).toBe(values.length + 4 * rows);
        for (let row = 0; row < rows; row += 1) {
          const own = values.slice(row * width, (row + 1) * width);
          const largest = Math.max(...own.map(Math.abs));
          const scale = Math.max(largest / 127, 2 ** -126);
          for (const [at, one] of own.entries()) {
            const error = Math.abs((seen[row * width + at] ?? Number.NaN) - one);
            // fp32 rounds the scale and the product, each by 2^-24 of itself.
            expect(error).toBeLessThanOrEqual(scale / 2 + largest * 2 ** -22);
          }
        }
      }),
    );
  });

  it.each([
    ['fp16', 65_520],
    ['fp16', -1e9],
    ['int8', Number.NaN],
    ['int8', Number.POSITIVE_INFINITY],
    ['int8', 2e38],
  ] as const)('as %s stay fp32 where a value is %d', (dtype, value) => {
    const values = [1, value, 3, 4];
    const { frame, values: seen } = overTheWire(dtype, values, 2);
    expect(frame.dtype).toBe('float32');
    expect([...seen]).toEqual(values.map(Math.fround));
  });

  it('are the same bits whenever they are sent', () => {
    fc.assert(
      fc.property(tensor(finite(1e6)), fc.constantFrom('fp16', 'int8'), (given, dtype) => {
        const send = () => overTheWire(dtype, given.values, given.rows).frame.payload;
        expect(send()).toEqual(send());
      }),
    );
  });
});

describe('hostile activations', () => {
  const frameOf = (dtype: FrameDtype, shape: readonly number[], payload: Uint8Array): Frame => ({
    ...{ ...emptyFrame('step'), session: 's', sequence: 7, rows: shape[0] ?? 0 },
    ...{ dtype, shape, payload },
  });
  const scaledOf = (scale: number, width = 4) => {
    const payload = new Uint8Array(4 + width);
    payload.set(new Uint8Array(Float32Array.of(scale).buffer));
    return frameOf('int8scaled', [1, width], payload);
  };

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2e38, 1e-40])(
    'a scale of %d is refused',
    (scale) => {
      expect(() => decodeActivations(scaledOf(scale))).toThrow(
        expect.objectContaining({
          code: 'TENSOR_MISMATCH',
          message: expect.stringContaining('row 0'),
        }),
      );
    },
  );

  it('a payload that is not as long as rows and scales say is no frame', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<FrameDtype>('float16', 'int8scaled'),
        fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 4 }),
        fc.uint8Array({ maxLength: 64 }),
        (dtype, shape, payload) => {
          const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
          const elements = shape.reduce((a, b) => a * b, 1);
          const expected = dtype === 'float16' ? 2 * elements : elements + 4 * rows;
          fc.pre(expected !== payload.length);
          expect(() => decodeFrame(encodeFrame(frameOf(dtype, shape, payload)))).toThrow(
            expect.objectContaining({ code: 'FRAME_MALFORMED' }),
          );
        },
      ),
    );
  });
});
