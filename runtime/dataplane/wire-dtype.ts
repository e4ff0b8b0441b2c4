import { DataPlaneError } from '../../sdk/errors.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import { type Frame, type FrameDtype, scaleBytes } from './frame.ts';
import { halfBits, halfLimit, halfTable } from './half.ts';

/** Activations ready to be sent: they lie in their buffer from `payloadOffset` to its end. */
export interface EncodedActivations {
  readonly dtype: FrameDtype;
  readonly payloadOffset: number;
}

/** Beyond it 127 times a scale may be no fp32. */
const largestScaled = 1e38;
/** Below it an fp32 loses digits, and a scale with it the bound on the error. */
const leastScale = 2 ** -126;

/** Whether a frame holds activations, in whatever dtype they came. */
export const isActivationDtype = (dtype: FrameDtype | undefined): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'int8scaled';

/**
 * Makes activations smaller where they lie: nothing is allocated but the scales, and as fp32 nothing happens at all.
 * Values that the dtype cannot hold (beyond ±65504 as fp16; infinite or NaN as int8) are left as fp32, so that a number
 * never becomes another kind of number; that depends on the values alone, so what is computed again is sent alike.
 *
 * @param buffer - fp32 [rows, width] from `offset`, a multiple of 4, to its end; overwritten
 */
export function encodeActivations(
  wireDtype: WireDtype,
  buffer: ArrayBuffer,
  offset: number,
  rows: number,
): EncodedActivations {
  const whole: EncodedActivations = { dtype: 'float32', payloadOffset: offset };
  if (wireDtype === 'fp32') return whole;
  const values = new Float32Array(buffer, offset);
  return (wireDtype === 'fp16' ? toHalves(values) : toScaled(values, rows)) ?? whole;
}

// Written from the end towards the beginning: what is written is never ahead of what is still to be read.

function toHalves(values: Float32Array): EncodedActivations | undefined {
  for (const value of values) {
    if (Math.abs(value) >= halfLimit && Math.abs(value) !== Number.POSITIVE_INFINITY) {
      return undefined;
    }
  }
  const { buffer, byteOffset, length } = values;
  const bits = new Uint32Array(buffer, byteOffset, length);
  const payloadOffset = byteOffset + 2 * length;
  const halves = new Uint16Array(buffer, payloadOffset, length);
  for (let at = length - 1; at >= 0; at -= 1) halves[at] = halfBits(bits[at] ?? 0);
  return { dtype: 'float16', payloadOffset };
}

/** Of each row the largest magnitude is 127; a zero row has a scale too. */
function scalesOf(values: Float32Array, rows: number): Float32Array | undefined {
  const width = values.length / rows;
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    let largest = 0;
    for (let at = row * width; at < (row + 1) * width; at += 1) {
      const magnitude = Math.abs(values[at] ?? 0);
      // Also where it is NaN.
      if (!(magnitude <= largestScaled)) return undefined;
      if (magnitude > largest) largest = magnitude;
    }
    scales[row] = Math.max(largest / 127, leastScale);
  }
  return scales;
}

function toScaled(values: Float32Array, rows: number): EncodedActivations | undefined {
  const { buffer, length } = values;
  const width = length / rows;
  const payloadOffset = buffer.byteLength - length - rows * scaleBytes;
  const scales = payloadOffset < 0 ? undefined : scalesOf(values, rows);
  if (!scales) return undefined;
  const scaled = new Int8Array(buffer, buffer.byteLength - length, length);
  for (let row = rows - 1; row >= 0; row -= 1) {
    const scale = scales[row] ?? leastScale;
    for (let at = (row + 1) * width - 1; at >= row * width; at -= 1) {
      const value = Math.round((values[at] ?? 0) / scale);
      scaled[at] = value > 127 ? 127 : value < -127 ? -127 : value;
    }
  }
  // Its offset need not be a multiple of 4.
  new Uint8Array(buffer, payloadOffset).set(new Uint8Array(scales.buffer));
  return { dtype: 'int8scaled', payloadOffset };
}

/**
 * @returns fp32 [rows, width]; the frame's own payload, not copied, where it is that already
 * @throws {DataPlaneError} TENSOR_MISMATCH - a scale is not a normal fp32 above 0, or no activations came
 */
export function decodeActivations(frame: Frame): Uint8Array {
  switch (frame.dtype) {
    case 'float32':
      return frame.payload;
    case 'float16':
      return fromHalves(frame);
    case 'int8scaled':
      return fromScaled(frame);
    default:
      throw mismatch(frame, 'activations', frame.dtype ?? 'no tensor');
  }
}

function fromHalves({ payload }: Frame): Uint8Array {
  const halves = new Uint16Array(payload.buffer, payload.byteOffset, payload.byteLength / 2);
  const values = new Float32Array(halves.length);
  const table = halfTable();
  for (let at = 0; at < halves.length; at += 1) values[at] = table[halves[at] ?? 0] ?? 0;
  return new Uint8Array(values.buffer);
}

function fromScaled(frame: Frame): Uint8Array {
  const { payload, shape } = frame;
  const width = shape.at(-1) ?? 1;
  const rows = rowsOf(shape);
  const { buffer, byteOffset } = payload;
  const scales = new Float32Array(buffer, byteOffset, rows);
  const scaled = new Int8Array(buffer, byteOffset + rows * scaleBytes, rows * width);
  const values = new Float32Array(scaled.length);
  for (let row = 0; row < rows; row += 1) {
    const scale = scales[row] ?? 0;
    if (!(scale >= leastScale && scale <= largestScaled)) {
      throw mismatch(frame, `a scale of 2^-126 to 1e38 in row ${row}`, String(scale));
    }
    for (let at = row * width; at < (row + 1) * width; at += 1) {
      values[at] = (scaled[at] ?? 0) * scale;
    }
  }
  return new Uint8Array(values.buffer);
}

const rowsOf = (shape: readonly number[]): number =>
  shape.slice(0, -1).reduce((product, size) => product * size, 1);

const mismatch = ({ session, sequence }: Frame, expected: string, seen: string): DataPlaneError =>
  new DataPlaneError(
    'TENSOR_MISMATCH',
    `session '${session}': step ${sequence} should hold ${expected}, got ${seen}.`,
  );
