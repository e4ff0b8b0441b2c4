/** Messages of one direction of a link that the peer may not have: kept until it says that it has them. */
export interface ResendBuffer {
  /** Messages sent since the link began. */
  readonly sent: number;
  push(message: Buffer): void;
  /** The peer has this many. One that says too much or goes back is not believed. */
  acknowledged(received: number): void;
  /** What a peer that has `received` messages lacks; undefined where that is not kept any more. */
  since(received: number): readonly Buffer[] | undefined;
  /** Forgets everything: the link is over. */
  close(): void;
}

/** What all links of a process keep together: the one that keeps most pays, and cannot resume. */
export interface ResendPool {
  readonly buffers: Set<{ readonly bytes: number; halve(): void }>;
  readonly maxBytes: number;
  bytes: number;
}

const maxMessages = 4096;
const maxBytes = 32 * 2 ** 20;
const maxProcessBytes = 256 * 2 ** 20;
/** A message that is a small part of a buffer larger than this is copied: it would hold all of it. */
const wholeBytes = 64 * 2 ** 10;

export const createResendPool = (maxBytes: number): ResendPool => ({
  buffers: new Set(),
  maxBytes,
  bytes: 0,
});
const ofProcess = createResendPool(maxProcessBytes);

function shrink(pool: ResendPool): void {
  while (pool.bytes > pool.maxBytes) {
    [...pool.buffers].reduce((most, one) => (one.bytes > most.bytes ? one : most)).halve();
  }
}

export function createResendBuffer(pool = ofProcess): ResendBuffer {
  let kept: Buffer[] = [];
  let first = 0;
  let bytes = 0;
  let closed = false;

  const drop = (count: number) => {
    const before = bytes;
    for (let index = 0; index < count; index += 1) bytes -= kept[index]?.length ?? 0;
    pool.bytes -= before - bytes;
    kept = kept.slice(count);
    first += count;
  };
  const member = {
    get bytes() {
      return bytes;
    },
    halve: () => drop(Math.ceil(kept.length / 2)),
  };
  pool.buffers.add(member);

  return {
    get sent() {
      return first + kept.length;
    },
    push(message) {
      if (closed) return;
      const { byteLength } = message.buffer;
      const isPart = byteLength > wholeBytes && message.length < byteLength / 2;
      kept.push(isPart ? Buffer.from(message) : message);
      bytes += message.length;
      pool.bytes += message.length;
      // A peer that acknowledges nothing costs this much memory, and cannot resume.
      if (kept.length > maxMessages || bytes > maxBytes) member.halve();
      if (pool.bytes > pool.maxBytes) shrink(pool);
    },
    acknowledged(received) {
      const count = received - first;
      if (count > 0 && count <= kept.length) drop(count);
    },
    since(received) {
      const index = received - first;
      return index >= 0 && index <= kept.length ? kept.slice(index) : undefined;
    },
    close() {
      closed = true;
      drop(kept.length);
      pool.buffers.delete(member);
    },
  };
}
