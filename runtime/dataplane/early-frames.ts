import type { Frame } from './frame.ts';

/** What a peer may send before anybody listens; CLOSE and FAIL come without credit. */
const maxEarlyBytes = 64 * 2 ** 20;

/** Frames that came before anybody listened. */
export interface EarlyFrames {
  /** @returns whether there was room for it */
  keep(frame: Frame, bytes: number): boolean;
  /** Takes them out, in order. */
  take(): readonly Frame[];
}

export function createEarlyFrames(): EarlyFrames {
  const frames: Frame[] = [];
  let heldBytes = 0;
  return {
    keep(frame, bytes) {
      heldBytes += bytes;
      if (heldBytes > maxEarlyBytes) return false;
      frames.push(frame);
      return true;
    },
    take: () => frames.splice(0),
  };
}
