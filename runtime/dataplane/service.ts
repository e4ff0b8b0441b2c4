import { createRequire } from 'node:module';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Messages of `proto/dataplane.proto` as proto-loader gives them; Exchange's are raw bytes. */
export interface AttachRequestMessage {
  readonly beat: number;
  readonly drain: boolean;
}
export interface InstanceReportMessage {
  readonly statusJson: string;
}
export interface NamedTensorMessage {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}
export interface FileMessage {
  readonly metadataJson: string;
  readonly data: Uint8Array;
}
export interface InferRequestMessage {
  readonly sessionId: string;
  readonly sequence: number;
  readonly dataJson: string;
  readonly tensors: readonly NamedTensorMessage[];
  readonly files: readonly FileMessage[];
  readonly createdAtMs: number;
  readonly parametersJson: string;
}
export interface InferResponseMessage {
  readonly final: boolean;
  readonly dataJson: string;
  readonly tensors: readonly NamedTensorMessage[];
  readonly files: readonly FileMessage[];
}

export interface InstanceService extends ServiceDefinition {
  readonly exchange: MethodDefinition<Buffer, Buffer>;
  readonly attach: MethodDefinition<AttachRequestMessage, InstanceReportMessage>;
  readonly infer: MethodDefinition<InferRequestMessage, InferResponseMessage>;
}

const asIs = (message: Buffer): Buffer => message;

function load(): InstanceService {
  const require = createRequire(import.meta.url);
  const loaded = loadSync(require.resolve('#proto/dataplane.proto'), {
    longs: Number,
    defaults: true,
  });
  const { Exchange, Attach, Infer } = loaded['aios.dataplane.v1.Instance'] as unknown as Record<
    'Exchange' | 'Attach' | 'Infer',
    MethodDefinition<never, never>
  >;
  return {
    // The one hot message is read and written by frame-codec.ts.
    exchange: {
      ...Exchange,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    } as unknown as MethodDefinition<Buffer, Buffer>,
    attach: Attach as unknown as InstanceService['attach'],
    infer: Infer as unknown as InstanceService['infer'],
  };
}

let service: InstanceService | undefined;

/** Read from the `.proto` once a process. */
export function instanceService(): InstanceService {
  service ??= load();
  return service;
}

/** Longest message either side takes; frames have their own, smaller limit. */
export const maxMessageBytes = 16 * 2 ** 20;

/** Notices a peer that is gone without a word (a stopped machine) within about 20 seconds. */
export const keepaliveOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
} as const;

export const metadataKeys = {
  peer: 'aios-peer',
  ticket: 'aios-ticket',
  /** Of a stream of frames: the link it carries, so that another stream can go on with it. */
  link: 'aios-link',
  /** Messages of the link that the sender of this has; in a call it asks to go on, in the answer it agrees. */
  received: 'aios-link-received',
  /** Counts the calls that ask to go on with a link, from 1: one that was held up on its way must not replace a later one. */
  attempt: 'aios-link-attempt',
  /** Of a packet: W3C's, the span it belongs to. */
  trace: 'traceparent',
} as const;
