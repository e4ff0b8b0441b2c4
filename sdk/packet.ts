import type { Tensor } from './tensor.ts';

/** Any JSON value. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

export interface PacketFile {
  readonly metadata: { readonly [key: string]: Json };
  readonly data: Uint8Array;
}

/** One request or result between blocks. */
export interface Packet<Data = unknown> {
  /** Groups packets of one conversation or stream. With `sequence` it is an idempotency key within a tenant. */
  readonly sessionId: string;
  /** Order inside the session, from 0. */
  readonly sequence: number;
  readonly data: Data;
  readonly tensors?: Readonly<Record<string, Tensor>>;
  readonly files?: readonly PacketFile[];
  /** When the client made it, in Unix milliseconds. */
  readonly createdAtMs: number;
}
