import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { AiosError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { ConnectOptions, InstanceConnection, InstanceSelfStatus } from './connection.ts';
import { dialLink } from './dial-link.ts';
import type { FlowLink } from './flow-link.ts';
import { fromStatus } from './grpc-status.ts';
import { readJson } from './hello.ts';
import { fromContent, toContent } from './packet-codec.ts';
import {
  type AttachRequestMessage,
  type InferResponseMessage,
  type InstanceReportMessage,
  instanceService,
  keepaliveOptions,
  maxMessageBytes,
  metadataKeys,
} from './service.ts';

const heartbeatMs = 1000;

const channelOptions = {
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.max_send_message_length': maxMessageBytes,
  // The default of 64 KB costs a round trip per 64 KB of activations.
  'grpc-node.flow_control_window': 64 * 2 ** 20,
  ...keepaliveOptions,
  // One connection of its own, so that `close` closes it; no retries of what may have run; never through a proxy.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
} as const;

/** An {@link InstanceConnection} whose link tells its user when to send. */
export interface FlowConnection extends InstanceConnection {
  link(): Promise<FlowLink>;
}

/** A caller's side of one instance; nothing is sent before the first use. */
export function connectInstance(options: ConnectOptions): FlowConnection {
  const { address, peerId } = options;
  const subject = `instance at ${address}`;
  const client = new Client(address, credentials.createInsecure(), channelOptions);
  const { exchange, attach, infer } = instanceService();
  let current: { readonly opening: Promise<FlowLink> } | undefined;

  const metadata = () => {
    const entries = new Metadata();
    entries.set(metadataKeys.peer, peerId);
    entries.set(metadataKeys.ticket, options.ticket);
    return entries;
  };

  const openLink = (): Promise<FlowLink> => {
    const { path, requestSerialize, responseDeserialize } = exchange;
    const call = (entries: Metadata) =>
      client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, entries);
    return dialLink({ ...options, subject, call, metadata });
  };

  return {
    link() {
      if (!current) {
        const entry = { opening: openLink() };
        current = entry;
        const forget = () => {
          if (current === entry) current = undefined;
        };
        entry.opening.then((link) => link.onDown(forget), forget);
      }
      return current.opening;
    },
    attach(listeners) {
      const call = client.makeBidiStreamRequest(
        attach.path,
        attach.requestSerialize,
        attach.responseDeserialize,
        metadata(),
      );
      return holdLease(call, subject, listeners);
    },
    async *infer(packet, { deadlineMs, signal, parameters, traceparent }) {
      const { sessionId, sequence, createdAtMs } = packet;
      if (signal.aborted) throw AiosError.from(signal.reason, 'CANCELLED');
      const entries = metadata();
      if (traceparent !== undefined) entries.set(metadataKeys.trace, traceparent);
      const call = client.makeServerStreamRequest(
        infer.path,
        infer.requestSerialize,
        infer.responseDeserialize,
        {
          ...toContent(packet),
          sessionId,
          sequence,
          createdAtMs,
          parametersJson: JSON.stringify(parameters ?? {}),
        },
        entries,
        { deadline: deadlineMs },
      );
      // A reader that leaves early cancels below; nobody listens to the stream any more then.
      call.on('error', () => {});
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        for await (const message of call as AsyncIterable<InferResponseMessage>) {
          const answer: Packet = fromContent(message, {
            sessionId,
            sequence,
            createdAtMs: Date.now(),
          });
          yield { final: message.final, packet: answer };
        }
      } catch (error) {
        if (signal.aborted) throw AiosError.from(signal.reason, 'CANCELLED');
        throw fromStatus(error as Error, subject);
      } finally {
        signal.removeEventListener('abort', cancel);
        call.cancel();
      }
    },
    close() {
      current?.opening.then(
        (link) => link.close(),
        () => {},
      );
      client.close();
    },
  };
}

function holdLease(
  call: ClientDuplexStream<AttachRequestMessage, InstanceReportMessage>,
  subject: string,
  listeners: Parameters<InstanceConnection['attach']>[0],
): ReturnType<InstanceConnection['attach']> {
  let beat = 0;
  let down = false;
  const timer = setInterval(() => {
    beat += 1;
    call.write({ beat, drain: false });
  }, heartbeatMs);
  const goDown = (error: AiosError) => {
    if (down) return;
    down = true;
    clearInterval(timer);
    listeners.onDown(error);
  };
  call.on('data', ({ statusJson }: InstanceReportMessage) => {
    const status = readJson(Buffer.from(statusJson)) as InstanceSelfStatus | undefined;
    if (status && !down) listeners.onReport(status);
  });
  call.on('error', (error) => goDown(fromStatus(error, subject)));
  call.on('end', () => goDown(new AiosError('SHARD_UNAVAILABLE', `${subject} ended the lease.`)));
  call.write({ beat, drain: false });
  return {
    drain() {
      if (!down) call.write({ beat, drain: true });
    },
    close() {
      clearInterval(timer);
      // Who closes knows: onDown is for losing an instance.
      down = true;
      call.cancel();
    },
  };
}
