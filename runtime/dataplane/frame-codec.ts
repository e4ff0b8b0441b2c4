import { DataPlaneError } from '../../sdk/errors.ts';
import {
  type Frame,
  type FrameDtype,
  type FrameType,
  frameDtypes,
  frameLimits,
  frameTypes,
  payloadBytesOf,
} from './frame.ts';
import { WireReader } from './wire-reader.ts';
import { createWireWriter } from './wire-writer.ts';

/**
 * grpc-js hands a message over as `Buffer.concat([5 bytes of framing, message])`, whose memory starts at a multiple of 8.
 * So a payload is aligned in the receiver's memory when its offset in the message is 3 modulo 8.
 */
const alignedRemainder = 3;

const paddingTag = (14 << 3) | 2;
const payloadTag = (15 << 3) | 2;
const maxUint32 = 2 ** 32 - 1;

const typeNames = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([name, id]) => [id, name as FrameType]),
);
const dtypeNames = new Map<number, FrameDtype>(
  Object.entries(frameDtypes).map(([name, id]) => [id, name as FrameDtype]),
);

const writer = createWireWriter(2048);

/** Writes everything before the payload into the shared writer. @returns its bytes */
function writeHeader(frame: Omit<Frame, 'payload'>, payloadBytes: number): Buffer {
  const { session, shape, timings } = frame;
  const sessionBytes = Buffer.byteLength(session);
  const problem =
    sessionBytes > frameLimits.maxSessionBytes
      ? `a session of ${sessionBytes} bytes; at most ${frameLimits.maxSessionBytes}`
      : shape.length > frameLimits.maxShapeSizes
        ? `a shape of ${shape.length} sizes; at most ${frameLimits.maxShapeSizes}`
        : timings.length > frameLimits.maxTimings
          ? `${timings.length} timings; at most ${frameLimits.maxTimings}`
          : undefined;
  if (problem) {
    throw new DataPlaneError('FRAME_MALFORMED', `a ${frame.type} frame cannot have ${problem}.`);
  }
  writer.reset();
  writer.uint(1, frameTypes[frame.type]);
  writer.text(2, session, sessionBytes);
  writer.uint(3, frame.sequence);
  writer.uint(4, frame.position);
  writer.uint(5, frame.rows);
  writer.uint(6, frame.dtype === undefined ? 0 : frameDtypes[frame.dtype]);
  writer.packed(7, shape);
  writer.uint(8, frame.sample ? 1 : 0);
  writer.uint(9, frame.token);
  writer.uint(10, frame.credit);
  writer.packed(11, timings);
  if (payloadBytes > 0) {
    const unpadded = writer.length + 1 + writer.sizeOf(payloadBytes);
    if (unpadded % 8 !== alignedRemainder) {
      const padding = (((alignedRemainder - unpadded - 2) % 8) + 8) % 8;
      writer.raw(paddingTag);
      writer.zeroes(padding);
    }
    writer.raw(payloadTag);
    writer.varint(payloadBytes);
  }
  const messageBytes = writer.length + payloadBytes;
  if (messageBytes > frameLimits.maxFrameBytes) {
    throw new DataPlaneError(
      'FRAME_TOO_LARGE',
      `session '${session}': a ${frame.type} frame of ${messageBytes} bytes; at most ${frameLimits.maxFrameBytes}. Send fewer rows in one step.`,
      { details: { session, bytes: messageBytes, maxBytes: frameLimits.maxFrameBytes } },
    );
  }
  return writer.written();
}

/**
 * The message of `aios.dataplane.v1.Frame`. Copies the payload once; activations take {@link encodeInPlace}.
 *
 * @throws {DataPlaneError} FRAME_TOO_LARGE, FRAME_MALFORMED
 */
export function encodeFrame(frame: Frame): Buffer {
  const header = writeHeader(frame, frame.payload.byteLength);
  const message = Buffer.allocUnsafe(header.length + frame.payload.byteLength);
  header.copy(message, 0);
  message.set(frame.payload, header.length);
  return message;
}

/**
 * Writes the header into `buffer` right before the payload, which lies from `payloadOffset` to the buffer's end.
 *
 * @returns the message, a view of `buffer`; nothing is copied unless the header (128 timings) exceeds the room before it
 * @throws {DataPlaneError} FRAME_TOO_LARGE, FRAME_MALFORMED
 */
export function encodeInPlace(
  frame: Omit<Frame, 'payload'>,
  buffer: ArrayBuffer,
  payloadOffset: number,
): Buffer {
  const payloadBytes = buffer.byteLength - payloadOffset;
  const header = writeHeader(frame, payloadBytes);
  const start = payloadOffset - header.length;
  if (start < 0) {
    return Buffer.concat([header, new Uint8Array(buffer, payloadOffset)]);
  }
  const message = Buffer.from(buffer, start);
  header.copy(message, 0);
  return message;
}

export interface DecodedFrame {
  readonly frame: Frame;
  /** The tensor lay unaligned in memory and had to be moved. */
  readonly payloadCopied: boolean;
}

/**
 * Reads one message. The payload is a view of it, unless that view would not be aligned to 8 bytes.
 *
 * @throws {DataPlaneError} FRAME_MALFORMED, FRAME_TOO_LARGE (details: offset in the message, session where readable)
 */
export function decodeFrame(message: Uint8Array): DecodedFrame {
  const reader = new WireReader(message);
  const fields = emptyFields();
  if (message.byteLength > frameLimits.maxFrameBytes) {
    // The head tells whose frame it was, so that its session can be failed and the others go on.
    readHead(reader, fields);
    throw new DataPlaneError(
      'FRAME_TOO_LARGE',
      `session '${fields.session}': a frame of ${message.byteLength} bytes came; at most ${frameLimits.maxFrameBytes}. Send fewer rows in one step.`,
      { details: { session: fields.session, offset: 0, bytes: message.byteLength } },
    );
  }
  while (reader.more) readField(reader, fields);
  return finish(reader, fields);
}

const empty = new Uint8Array(0);

const emptyFields = () => ({
  type: 0,
  session: '',
  sequence: 0,
  position: 0,
  rows: 0,
  dtype: 0,
  shape: [] as number[],
  sample: false,
  token: 0,
  credit: 0,
  timings: [] as number[],
  payload: empty as Uint8Array,
  payloadOffset: 0,
});
type Fields = ReturnType<typeof emptyFields>;

function readHead(reader: WireReader, fields: Fields): void {
  try {
    for (let field = 0; field < 2 && reader.more; field += 1) readField(reader, fields);
  } catch {
    // Not even the head is readable: the frame belongs to no session.
  }
}

function readField(reader: WireReader, fields: Fields): void {
  switch (reader.tag()) {
    case 1:
      fields.type = reader.uint(maxUint32);
      break;
    case 2:
      fields.session = reader.text(frameLimits.maxSessionBytes);
      reader.session = fields.session;
      break;
    case 3:
      fields.sequence = reader.uint(maxUint32);
      break;
    case 4:
      fields.position = reader.uint(maxUint32);
      break;
    case 5:
      fields.rows = reader.uint(maxUint32);
      break;
    case 6:
      fields.dtype = reader.uint(maxUint32);
      break;
    case 7:
      reader.repeated(fields.shape, frameLimits.maxShapeSizes, maxUint32);
      break;
    case 8:
      fields.sample = reader.uint(1) === 1;
      break;
    case 9:
      fields.token = reader.uint(maxUint32);
      break;
    case 10:
      fields.credit = reader.uint(maxUint32);
      break;
    case 11:
      reader.repeated(fields.timings, frameLimits.maxTimings, Number.MAX_SAFE_INTEGER);
      break;
    case 15:
      fields.payload = reader.bytes();
      fields.payloadOffset = reader.offset - fields.payload.byteLength;
      break;
    default:
      // Padding, and what later versions add.
      reader.skip();
  }
}

function finish(reader: WireReader, fields: Fields): DecodedFrame {
  const { shape, payloadOffset } = fields;
  const type = typeNames.get(fields.type);
  if (type === undefined)
    throw reader.malformed(`frame type ${fields.type}`, 'a type from 1 to 10');
  const dtype = dtypeNames.get(fields.dtype);
  if (dtype === undefined && fields.dtype !== 0) {
    throw reader.malformed(`dtype ${fields.dtype}`, 'a dtype from 0 to 8');
  }
  let { payload } = fields;
  if (dtype === undefined && shape.length > 0) {
    throw reader.malformed('a shape without a dtype', 'both or neither');
  }
  if (dtype !== undefined) {
    const expectedBytes = payloadBytesOf(dtype, shape);
    if (payload.byteLength !== expectedBytes) {
      throw reader.malformed(
        `a payload of ${payload.byteLength} bytes`,
        `${expectedBytes} bytes for ${dtype} [${shape.join(', ')}]`,
        payloadOffset,
      );
    }
  }
  const payloadCopied = payload.byteLength > 0 && payload.byteOffset % 8 !== 0;
  if (payloadCopied) payload = new Uint8Array(payload);
  const { session, sequence, position, rows, sample, token, credit, timings } = fields;
  // Written out: spreading costs more than all the rest of the decoding.
  const frame: Frame = dtype
    ? {
        type,
        session,
        sequence,
        position,
        rows,
        dtype,
        shape,
        sample,
        token,
        credit,
        timings,
        payload,
      }
    : { type, session, sequence, position, rows, shape, sample, token, credit, timings, payload };
  return { frame, payloadCopied };
}
