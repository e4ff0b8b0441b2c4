import { type AiosError, DataPlaneError } from '../../sdk/errors.ts';
import { createCreditWindow } from './credit-window.ts';
import { createEarlyFrames } from './early-frames.ts';
import type { FlowLink, FrameLinkOptions } from './flow-link.ts';
import { emptyFrame, type Frame, type FrameType, frameLimits, type HelloPayload } from './frame.ts';
import { decodeFrame, encodeFrame, encodeInPlace } from './frame-codec.ts';
import { jsonBytes, parseHello } from './hello.ts';
import { createLinkMeter, type LinkMeter } from './link-meter.ts';
import { createSendQueue } from './send-queue.ts';

/** CLOSE and FAIL free memory: they overtake what waits, and do not wait for credit. */
const isUrgent = (type: FrameType) => type === 'close' || type === 'fail';
/** Of what does not wait for the stream, FAIL and CREDIT above all: a peer that sends and never reads gets no more than this. */
const maxUnreadBytes = 8 * 2 ** 20;
/** After this a peer without credit is given what there is, though it is no batch. */
const owedMs = 5;

/**
 * Speaks the frame protocol over a stream: HELLO, credit, a bounded queue, back-pressure, counters. Frames that cannot be
 * read are answered with FAIL and the link goes on; a peer that overruns its credit ends it.
 *
 * @returns the link, once the peer's HELLO has come
 * @throws {AiosError} SHARD_UNAVAILABLE - no HELLO in time; UNAUTHENTICATED, UNSUPPORTED - the wrong one
 */
export function openFrameLink(options: FrameLinkOptions): Promise<FlowLink> {
  const { stream, selfId, abort, toError } = options;
  const initialCredit = options.initialCredit ?? frameLimits.initialCredit;
  let peerId = options.expectedPeerId ?? 'an unknown peer';
  const window = createCreditWindow(initialCredit);
  const queue = createSendQueue(() => peerId, options.maxQueuedFrames ?? 256);
  const counters = { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0, payloadCopies: 0 };

  let greeted = false;
  let down: AiosError | undefined;
  let writable = true;
  let unreadBytes = 0;
  let blocked = false;
  let peerMaxFrameBytes: number = frameLimits.maxFrameBytes;
  const early = createEarlyFrames();
  let deliver: ((frame: Frame) => void) | undefined;
  const downListeners: ((error: Error) => void)[] = [];
  const sendableListeners: (() => void)[] = [];
  let onMalformed: ((error: AiosError, session: string) => void) | undefined;
  let meter: LinkMeter | undefined;
  let owing: NodeJS.Timeout | undefined;
  const ping = (sequence: number, paddingBytes: number) => {
    if (!down)
      put(encodeFrame({ ...emptyFrame('ping'), sequence, payload: new Uint8Array(paddingBytes) }));
  };

  const write = (message: Buffer) => {
    counters.bytesOut += message.length;
    counters.framesOut += 1;
    const alone = writable;
    put(message);
    if (alone) meter?.sent(message.length);
  };
  const put = (message: Buffer) => {
    writable = stream.write(message);
    unreadBytes = writable ? 0 : unreadBytes + message.length;
    blocked ||= !isSendable();
    if (unreadBytes > maxUnreadBytes) {
      end(
        new DataPlaneError('BUSY', `'${peerId}' does not read: ${unreadBytes} bytes wait for it.`),
      );
    }
  };
  const flush = () => {
    while (writable && window.sendable > 0) {
      const message = queue.shift();
      if (!message) break;
      window.sent();
      write(message);
    }
    if (blocked && isSendable()) {
      blocked = false;
      for (const listener of sendableListeners) listener();
    }
  };
  const isSendable = () => !down && writable && window.sendable > 0 && queue.length === 0;

  const post = (frame: Omit<Frame, 'payload'>, encode: () => Buffer) => {
    if (down) {
      throw new DataPlaneError(
        'SHARD_UNAVAILABLE',
        `session '${frame.session}': the link to '${peerId}' is down: ${down.message}`,
        { cause: down },
      );
    }
    const message = encode();
    if (message.length > peerMaxFrameBytes && !isUrgent(frame.type)) {
      throw new DataPlaneError(
        'FRAME_TOO_LARGE',
        `session '${frame.session}': a ${frame.type} frame of ${message.length} bytes; '${peerId}' takes at most ${peerMaxFrameBytes}.`,
      );
    }
    if (isUrgent(frame.type)) {
      const unheardOf = queue.drop(frame.session);
      if (unheardOf && frame.type === 'close') return;
      window.sent();
      write(message);
    } else if (isSendable()) {
      window.sent();
      write(message);
    } else {
      queue.push({ type: frame.type, session: frame.session, message });
      flush();
      blocked ||= queue.length > 0;
    }
  };
  const send = (frame: Frame) => post(frame, () => encodeFrame(frame));

  const sendCredit = (credit: number) => {
    if (credit > 0 && !down) write(encodeFrame({ ...emptyFrame('credit'), credit }));
    if (window.owes && !down) owing ??= setTimeout(settle, owedMs).unref();
  };
  const grant = () => sendCredit(window.release());
  const settle = () => {
    owing = undefined;
    sendCredit(window.settle());
  };

  const refuse = (error: AiosError, session: string) => {
    if (onMalformed) onMalformed(error, session);
    else send({ ...emptyFrame('fail'), session, payload: jsonBytes(error.serialize()) });
    grant();
  };

  const accept = (message: Buffer) => {
    let frame: Frame;
    counters.bytesIn += message.length;
    counters.framesIn += 1;
    try {
      const decoded = decodeFrame(message);
      frame = decoded.frame;
      if (frame.type === 'ping' || frame.type === 'pong') return acceptPing(frame, message.length);
      if (decoded.payloadCopied && frame.dtype !== undefined) counters.payloadCopies += 1;
    } catch (error) {
      if (!window.received()) return overrun();
      return refuse(error as AiosError, String((error as AiosError).details.session ?? ''));
    }
    if (frame.type === 'credit') {
      window.granted(frame.credit);
      // Who keeps part of the credit free may wait for more of it while a frame could leave.
      blocked = true;
      return flush();
    }
    if (!window.received() && !isUrgent(frame.type)) return overrun();
    if (deliver) deliver(frame);
    else if (!early.keep(frame, message.length)) return overrun();
    sendCredit(0);
  };

  /** They are no traffic, and are not counted as such. */
  const acceptPing = ({ type, sequence }: Frame, bytes: number) => {
    counters.bytesIn -= bytes;
    counters.framesIn -= 1;
    if (type === 'pong') meter?.echoed(sequence);
    else if (!down) put(encodeFrame({ ...emptyFrame('pong'), sequence }));
  };

  const overrun = () =>
    end(
      new DataPlaneError(
        'FRAME_OUT_OF_ORDER',
        `'${peerId}' sent more frames than it was granted (${initialCredit} at first). Wait for CREDIT.`,
      ),
    );

  const end = (error: AiosError) => {
    if (down) return;
    goDown(error);
    abort(error);
  };
  const goDown = (error: AiosError) => {
    if (down) return;
    down = error;
    clearTimeout(owing);
    queue.clear();
    for (const listener of downListeners) listener(error);
  };

  const link: FlowLink = {
    get peerId() {
      return peerId;
    },
    send,
    sendInPlace: (frame, buffer, payloadOffset) =>
      post(frame, () => encodeInPlace(frame, buffer, payloadOffset)),
    onFrame(listener) {
      deliver = listener;
      for (const frame of early.take()) listener(frame);
    },
    grant,
    onDown(listener) {
      if (down) listener(down);
      else downListeners.push(listener);
    },
    onSendable: (listener) => sendableListeners.push(listener),
    onMalformed: (listener) => {
      onMalformed = listener;
    },
    get up() {
      return down === undefined;
    },
    get sendable() {
      return isSendable();
    },
    get queuedFrames() {
      return queue.length;
    },
    get longestQueueFrames() {
      return queue.longest;
    },
    get credit() {
      return window.sendable;
    },
    get bytesIn() {
      return counters.bytesIn;
    },
    get bytesOut() {
      return counters.bytesOut;
    },
    get framesIn() {
      return counters.framesIn;
    },
    get framesOut() {
      return counters.framesOut;
    },
    get payloadCopies() {
      return counters.payloadCopies;
    },
    get speed() {
      return meter?.speed;
    },
    close() {
      if (down) return;
      goDown(new DataPlaneError('CLOSED', `the link to '${peerId}' was closed.`));
      stream.end();
    },
  };

  const hello: HelloPayload = {
    version: 1,
    peerId: selfId,
    credit: initialCredit,
    maxFrameBytes: frameLimits.maxFrameBytes,
    pings: true,
  };

  return new Promise((resolve, reject) => {
    const timeoutMs = options.helloTimeoutMs ?? 5000;
    const late = () =>
      end(
        new DataPlaneError(
          'SHARD_UNAVAILABLE',
          `'${peerId}' did not say HELLO within ${timeoutMs} ms. Check that it runs.`,
        ),
      );
    const timer = setTimeout(late, timeoutMs);
    downListeners.push((error) => {
      clearTimeout(timer);
      reject(error);
    });
    stream.on('data', (message) => {
      if (down) return;
      if (greeted) return accept(message);
      try {
        const said = parseHello(message, options.expectedPeerId);
        greeted = true;
        clearTimeout(timer);
        peerId = said.peerId;
        peerMaxFrameBytes = Math.min(said.maxFrameBytes, peerMaxFrameBytes);
        if (said.pings) meter = createLinkMeter({ ping, now: () => performance.now() });
        window.granted(said.credit);
        blocked = !isSendable();
        resolve(link);
      } catch (error) {
        end(error as AiosError);
      }
    });
    stream.on('drain', () => {
      writable = true;
      unreadBytes = 0;
      flush();
    });
    const ended = () =>
      goDown(new DataPlaneError('SHARD_UNAVAILABLE', `'${peerId}' ended the stream.`));
    stream.on('error', (error) => goDown(toError(error)));
    stream.on('end', () => {
      ended();
      stream.end();
    });
    stream.on('close', ended);
    writable = stream.write(encodeFrame({ ...emptyFrame('hello'), payload: jsonBytes(hello) }));
  });
}
