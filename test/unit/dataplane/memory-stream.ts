import { Duplex } from 'node:stream';

/** Two ends of a stream of whole messages, in memory, with back-pressure. */
export function memoryStreams(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const make = (other: number) => {
    let resume: (() => void) | undefined;
    const end = new Duplex({
      objectMode: true,
      read() {
        resume?.();
        resume = undefined;
      },
      write(message, _encoding, done) {
        const peer = ends[other] as Duplex & { hold?: (done: () => void) => void };
        if (peer.push(message)) queueMicrotask(done);
        else peer.hold?.(done);
      },
      final(done) {
        ends[other]?.push(null);
        done();
      },
    });
    return Object.assign(end, {
      hold: (done: () => void) => {
        resume = done;
      },
    });
  };
  const first = make(1);
  const second = make(0);
  ends.push(first, second);
  return [first, second];
}
