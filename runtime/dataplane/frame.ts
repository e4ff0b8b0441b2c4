import type { SamplingParameters } from '../../sdk/sampling.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';

/** Numbers are those of `proto/dataplane.proto`. */
export const frameTypes = {
  open: 1,
  opened: 2,
  step: 3,
  token: 4,
  close: 5,
  fail: 6,
  credit: 7,
  hello: 8,
  ping: 9,
  pong: 10,
} as const;
export type FrameType = keyof typeof frameTypes;

export const frameDtypes = {
  float32: 1,
  float16: 2,
  bfloat16: 3,
  int32: 4,
  int64: 5,
  int8: 6,
  uint8: 7,
  int8scaled: 8,
} as const;
export type FrameDtype = keyof typeof frameDtypes;

/** Of an `int8scaled` tensor's rows (of its last size): a float32 each, all of them before the elements. */
export const scaleBytes = 4;

/** Bytes per element. */
const frameDtypeBytes: Readonly<Record<FrameDtype, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  int64: 8,
  int8: 1,
  uint8: 1,
  int8scaled: 1,
};

/** Bytes of a tensor's payload. */
export function payloadBytesOf(dtype: FrameDtype, shape: readonly number[]): number {
  const bytes = shape.reduce((count, size) => count * size, frameDtypeBytes[dtype]);
  if (dtype !== 'int8scaled') return bytes;
  const rows = shape.slice(0, -1).reduce((count, size) => count * size, 1);
  return bytes + rows * scaleBytes;
}

/** What streams between shards. Absent fields are 0, false or empty on the wire. */
export interface Frame {
  readonly type: FrameType;
  readonly session: string;
  readonly sequence: number;
  readonly position: number;
  readonly rows: number;
  readonly dtype?: FrameDtype;
  readonly shape: readonly number[];
  readonly sample: boolean;
  readonly token: number;
  readonly credit: number;
  /** Nanoseconds: compute, then waiting, of each shard passed, in order. */
  readonly timings: readonly number[];
  /** A view of the received message, aligned to 8 bytes; empty when absent. */
  readonly payload: Uint8Array;
}

/** Every field absent but the type: spread it and set what the frame says. */
export const emptyFrame = (type: FrameType): Frame => ({
  type,
  session: '',
  sequence: 0,
  position: 0,
  rows: 0,
  shape: [],
  sample: false,
  token: 0,
  credit: 0,
  timings: [],
  payload: new Uint8Array(0),
});

/** One instance a session passes through, in order. Made by the driver, which alone knows the secrets. */
export interface RouteHop {
  readonly instanceId: string;
  readonly address: string;
  /** Ticket for the hop before it (the driver for the first): HMAC of `peer:<caller>` under this instance's secret. */
  readonly ticket: string;
  /** How the shard before it sends activations. @default 'fp32' */
  readonly activations?: WireDtype | undefined;
}

/** Payload of OPEN. */
export interface OpenPayload {
  readonly tenant: string;
  readonly driverId: string;
  /** The receiver's own hop first; each shard forwards the rest. */
  readonly route: readonly RouteHop[];
  /** A point in time: Unix milliseconds. */
  readonly deadlineMs: number;
  /** W3C's: the span that the shards' own belong to. Absent: nobody asks for them. */
  readonly traceparent?: string | undefined;
  readonly promptTokens: readonly number[];
  /** How many of them are the prompt; the others were answered before a shard was lost. @default all */
  readonly promptCount?: number;
  readonly sampling: SamplingParameters & { readonly seed: number };
  /** From shard to shard: positions that every shard copies from another session; the first step comes after them. */
  readonly shared?: { readonly session: string; readonly tokens: number } | undefined;
}

/** Payload of TOKEN when log-probabilities were asked for. */
export interface TokenPayload {
  readonly logprob: number;
  /** Best first. */
  readonly top: readonly (readonly [token: number, logprob: number])[];
}

/** Payload of HELLO. */
export interface HelloPayload {
  readonly version: 1;
  readonly peerId: string;
  /** Frames the peer may send before it must wait for CREDIT. */
  readonly credit: number;
  readonly maxFrameBytes: number;
  /** Whether PING is answered. @default false */
  readonly pings?: boolean | undefined;
}

/** Limits of the data plane. */
export const frameLimits = {
  maxFrameBytes: 4 * 2 ** 20,
  initialCredit: 64,
  maxSessionBytes: 64,
  maxShapeSizes: 8,
  /** Two a shard, so at most 64 shards. */
  maxTimings: 128,
  /** `promptTokens` of OPEN and every other JSON payload. */
  maxJsonBytes: 2 * 2 ** 20,
  /** Activations of one prefill chunk aim to stay under this. */
  prefillChunkBytes: 256 * 2 ** 10,
} as const;
