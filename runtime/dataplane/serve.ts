import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { AiosError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { InstanceSelfStatus } from './connection.ts';
import type { FlowLink } from './flow-link.ts';
import { fromStatus, toStatus } from './grpc-status.ts';
import { createHeldLinks } from './held-links.ts';
import { openFrameLink } from './link.ts';
import { contentBytes, fromRequest, toContent } from './packet-codec.ts';
import { widenServerWindow } from './server-window.ts';
import {
  type AttachRequestMessage,
  type InferRequestMessage,
  type InferResponseMessage,
  type InstanceReportMessage,
  instanceService,
  keepaliveOptions,
  maxMessageBytes,
  metadataKeys,
} from './service.ts';
import { checkTicket } from './ticket.ts';

/** One control plane that holds this instance. */
export interface Attachment {
  readonly peerId: string;
  report(status: InstanceSelfStatus): void;
  /** Every message of the control plane, about one a second. */
  onBeat(listener: () => void): void;
  onDrain(listener: () => void): void;
  onDown(listener: () => void): void;
}

/** What an instance does with its three calls. Callers are authenticated before any of these runs. */
export interface InstanceHandlers {
  onLink(link: FlowLink): void;
  onAttach(attachment: Attachment): void;
  /** Partial results, then the answer. Whatever it throws reaches the caller. */
  infer(request: {
    readonly packet: Packet;
    readonly parameters: Readonly<Record<string, unknown>>;
    /** Unix milliseconds; Infinity without one. */
    readonly deadlineMs: number;
    /** Aborts when the caller goes away or its deadline passes. */
    readonly signal: AbortSignal;
    /** Of its data, tensors and files, as they came. */
    readonly receivedBytes?: number;
    /** W3C's: the span it belongs to, where it is traced. */
    readonly traceparent?: string;
  }): AsyncIterable<{ readonly final: boolean; readonly packet: Packet }>;
}

export interface InstanceServer {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Ends every stream. */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly instanceId: string;
  readonly secret: string;
  readonly handlers: InstanceHandlers;
}

/** Serves one instance on a free port of the loopback interface. */
export async function serveInstance(options: ServeOptions): Promise<InstanceServer> {
  const { instanceId, secret, handlers } = options;
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    ...keepaliveOptions,
    interceptors: [(_method, call) => authenticated(call, secret, instanceId)],
  });
  const onBound = widenServerWindow(server);
  const held = createHeldLinks(instanceId);
  server.addService(instanceService(), {
    exchange: (call: ServerDuplexStream<Buffer, Buffer>) => {
      const peerId = peerOf(call.metadata);
      const accepted = held.accept(call, peerId);
      if (!accepted) return;
      openFrameLink({
        ...accepted,
        selfId: instanceId,
        expectedPeerId: peerId,
        toError: (error) => fromStatus(error, `the stream from '${peerId}'`),
      }).then(handlers.onLink, () => {
        // The peer already got the status; there is no link to speak of.
      });
    },
    attach: (call: ServerDuplexStream<AttachRequestMessage, InstanceReportMessage>) =>
      handlers.onAttach(attachmentOf(call)),
    infer: (call: ServerWritableStream<InferRequestMessage, InferResponseMessage>) => {
      void answer(call, handlers);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  onBound();
  return {
    address: `127.0.0.1:${port}`,
    close: async () => {
      held.close();
      server.forceShutdown();
    },
  };
}

const textOf = (metadata: Metadata, key: string): string => String(metadata.get(key)[0] ?? '');
const peerOf = (metadata: Metadata): string => textOf(metadata, metadataKeys.peer);

type ServerInterceptingCallInterface = ConstructorParameters<typeof ServerInterceptingCall>[0];

/** Refuses a caller before any of its messages is read. */
function authenticated(
  call: ServerInterceptingCallInterface,
  secret: string,
  instanceId: string,
): ServerInterceptingCall {
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next(
        new ServerListenerBuilder()
          .withOnReceiveMetadata((metadata, accept) => {
            const peer = peerOf(metadata);
            if (peer !== '' && checkTicket(secret, peer, textOf(metadata, metadataKeys.ticket))) {
              return accept(metadata);
            }
            const refusal = new AiosError(
              'UNAUTHENTICATED',
              `instance '${instanceId}' does not know the ticket of '${peer.slice(0, 253)}'. Call it through its control plane.`,
            );
            call.sendStatus(toStatus(refusal));
          })
          .build(),
      ),
  });
}

function attachmentOf(
  call: ServerDuplexStream<AttachRequestMessage, InstanceReportMessage>,
): Attachment {
  const beats: (() => void)[] = [];
  const drains: (() => void)[] = [];
  const downs: (() => void)[] = [];
  let down = false;
  const goDown = () => {
    if (down) return;
    down = true;
    for (const listener of downs) listener();
  };
  call.on('data', ({ drain }: AttachRequestMessage) => {
    for (const listener of beats) listener();
    if (drain) for (const listener of drains) listener();
  });
  call.on('error', goDown);
  call.on('cancelled', goDown);
  call.on('close', goDown);
  call.on('end', () => {
    goDown();
    call.end();
  });
  return {
    peerId: peerOf(call.metadata),
    report: (status) => {
      if (!down) call.write({ statusJson: JSON.stringify(status) });
    },
    onBeat: (listener) => beats.push(listener),
    onDrain: (listener) => drains.push(listener),
    onDown: (listener) => (down ? listener() : downs.push(listener)),
  };
}

async function answer(
  call: ServerWritableStream<InferRequestMessage, InferResponseMessage>,
  handlers: InstanceHandlers,
): Promise<void> {
  const gone = new AbortController();
  call.on('cancelled', () =>
    gone.abort(
      Date.now() >= Number(call.getDeadline())
        ? new AiosError('DEADLINE_EXCEEDED', 'the caller’s deadline passed.')
        : new AiosError('CANCELLED', 'the caller went away.'),
    ),
  );
  try {
    const deadlineMs = Number(call.getDeadline());
    const traceparent = textOf(call.metadata, metadataKeys.trace);
    const request = {
      ...fromRequest(call.request),
      ...{ deadlineMs, signal: gone.signal, receivedBytes: contentBytes(call.request) },
      ...(traceparent === '' ? {} : { traceparent }),
    };
    for await (const { final, packet } of handlers.infer(request)) {
      if (gone.signal.aborted) return;
      if (!call.write({ final, ...toContent(packet) })) await drained(call, gone.signal);
    }
    call.end();
  } catch (error) {
    if (!gone.signal.aborted) call.emit('error', toStatus(error));
  }
}

/** Waits until a slow reader has taken what was written, or is gone. */
function drained(
  call: ServerWritableStream<InferRequestMessage, InferResponseMessage>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
