/** Messages of one direction of a link that the peer may not have: kept until it says that it has them. */
export interface ResendBuffer {
  /** Messages sent since the link began. */
  readonly sent: number;
  push(message: Buffer): void;
  /** The peer has this many. One that says too much or goes back is not believed. */
  acknowledged(received: number): void;
  /** What a peer that has `received` messages lacks; undefined where that is not kept any more. */
  since(received: number): readonly Buffer[] | undefined;
}

const maxMessages = 4096;
const maxBytes = 32 * 2 ** 20;

export function createResendBuffer(): ResendBuffer {
  let kept: Buffer[] = [];
  let first = 0;
  let bytes = 0;

  const drop = (count: number) => {
    for (let index = 0; index < count; index += 1) bytes -= kept[index]?.length ?? 0;
    kept = kept.slice(count);
    first += count;
  };

  return {
    get sent() {
      return first + kept.length;
    },
    push(message) {
      kept.push(message);
      bytes += message.length;
      // A peer that acknowledges nothing costs this much memory, and cannot resume.
      if (kept.length > maxMessages || bytes > maxBytes) drop(Math.ceil(kept.length / 2));
    },
    acknowledged(received) {
      const count = received - first;
      if (count > 0 && count <= kept.length) drop(count);
    },
    since(received) {
      const index = received - first;
      return index >= 0 && index <= kept.length ? kept.slice(index) : undefined;
    },
  };
}
