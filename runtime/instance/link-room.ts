import type { FlowLink } from '../dataplane/index.ts';

/** Part of a stream's credit that chunks of prompts may take: a long prompt must not close the way for single rows. */
const partForChunks = 1 / 2;

/** Room on outgoing streams for the results of steps that are being computed. */
export interface LinkRoom {
  /** Whether one more result of this many rows could leave at once. */
  has(link: FlowLink, rows: number): boolean;
  /** @returns to be called once, when the result was sent, or will not be */
  take(link: FlowLink, rows: number): (sent: boolean) => void;
}

interface Room {
  /** Results being computed. */
  taken: number;
  /** Chunks computed, or sent and perhaps not dealt with yet. A grant does not say for what: it counts for these first. */
  chunks: number;
  /** Credit when nothing is under way. */
  most: number;
  credit: number;
  framesOut: number;
}

export function createLinkRoom(): LinkRoom {
  const rooms = new WeakMap<FlowLink, Room>();

  const roomOf = (link: FlowLink): Room => {
    const { credit, framesOut } = link;
    const room = rooms.get(link) ?? { taken: 0, chunks: 0, most: 0, credit, framesOut };
    rooms.set(link, room);
    const granted = credit - room.credit + (framesOut - room.framesOut);
    room.chunks = Math.max(0, room.chunks - granted);
    room.most = Math.max(room.most, credit);
    return Object.assign(room, { credit, framesOut });
  };

  return {
    has(link, rows) {
      const { taken, chunks, most, credit } = roomOf(link);
      if (!link.sendable || credit <= taken) return false;
      return rows === 1 || chunks < Math.max(1, most * partForChunks);
    },
    take(link, rows) {
      const room = roomOf(link);
      const chunk = rows > 1 ? 1 : 0;
      room.taken += 1;
      room.chunks += chunk;
      return (sent) => {
        room.taken -= 1;
        if (!sent) room.chunks = Math.max(0, room.chunks - chunk);
      };
    },
  };
}
