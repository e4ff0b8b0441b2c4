import { type GenerationLimits, generationLimits } from '../../sdk/spec/vdag.ts';
import { foundRoom } from './found-room.ts';
import { createWaitingRoom, type WaitingRoom } from './waiting-room.ts';

/** Whose turn it is where nobody says. */
export const anyClient = 'default';

export interface RoomRequest {
  readonly tenant: string;
  readonly modelUri: string;
  /** In each of which an answer takes a slot. */
  readonly blocks: readonly string[];
}

/** Lets answers in as far as the shards of their models have slots for keys and values. */
export interface ModelAdmission {
  room(request: RoomRequest): WaitingRoom;
  /** Sessions that all shards of a model have room for together; undefined: not known. */
  slots(tenant: string, blocks: readonly string[]): number | undefined;
  close(): void;
}

/** Slots become free unseen too: where others use a shard, and where an instance is added. */
const lookMs = 200;
/** Rooms kept; those in which somebody is, always. */
const keptRooms = 256;
/** Answers at once in a block that never said how many it has room for: its shards have the last word. */
const unknownSlots = 8;

interface Kept {
  readonly room: WaitingRoom;
  readonly handedOut: WaitingRoom;
}

const isIdle = ({ waiting, open }: WaitingRoom): boolean => waiting === 0 && open === 0;

export const limitsOf = (limits: GenerationLimits | undefined): GenerationLimits =>
  limits ?? generationLimits.parse({});

/**
 * Counts slots by block, because models may share shards.
 *
 * @param slotsOf - of a block's ready instances together; undefined: none is ready, or it is not known. Without it
 *   only the shards themselves say when they are full
 */
export function createModelAdmission(
  slotsOf: ((tenant: string, blockId: string) => number | undefined) | undefined,
): ModelAdmission {
  /** The one of each model, asked for last comes last. */
  const rooms = new Map<string, Kept>();
  /** In which somebody is; of those that share a shard, the one that had a place last comes last. */
  const inUse = new Set<WaitingRoom>();
  const taken = new Map<string, number>();
  let looking: NodeJS.Timeout | undefined;

  function advanceAll(): void {
    for (const room of [...inUse]) {
      room.advance();
      if (isIdle(room)) inUse.delete(room);
    }
    if ([...inUse].some(({ waiting }) => waiting > 0)) {
      looking ??= setInterval(advanceAll, lookMs).unref();
    } else {
      clearInterval(looking);
      looking = undefined;
    }
  }

  function forgetIdle(wanted: Kept): void {
    for (const [key, kept] of rooms) {
      if (rooms.size <= keptRooms) return;
      if (kept !== wanted && isIdle(kept.room)) rooms.delete(key);
    }
  }

  function createRoom({ tenant, modelUri, blocks }: RoomRequest): WaitingRoom {
    const keyed = blocks.map((blockId) => ({
      blockId,
      key: JSON.stringify([tenant, blockId]),
      lastSlots: unknownSlots,
    }));
    const add = (by: 1 | -1) => {
      for (const one of keyed) {
        const now = (taken.get(one.key) ?? 0) + by;
        if (now === 0) taken.delete(one.key);
        else taken.set(one.key, now);
      }
    };
    const use = () => {
      inUse.delete(room);
      inUse.add(room);
    };
    const room = createWaitingRoom({
      modelUri,
      hasRoom: () =>
        !slotsOf ||
        keyed.every((one) => {
          const slots = slotsOf(tenant, one.blockId);
          one.lastSlots = slots || one.lastSlots;
          return (taken.get(one.key) ?? 0) < (slots ?? one.lastSlots);
        }),
      onWaiting() {
        // Keeps its turn among the others.
        if (!inUse.has(room)) use();
        looking ??= setInterval(advanceAll, lookMs).unref();
      },
      onTaken() {
        add(1);
        use();
      },
      onGiven() {
        add(-1);
        // Later: who gives it back has not gone out of the room yet.
        queueMicrotask(advanceAll);
      },
    });
    return room;
  }

  function keep(key: string, room: WaitingRoom): Kept {
    const handedOut = foundRoom(() => {
      const found = rooms.get(key) ?? kept;
      rooms.set(key, found);
      return found.room;
    });
    const kept = { room, handedOut };
    return kept;
  }

  return {
    room(request) {
      // A model of this name may be created anew, over other blocks.
      const key = JSON.stringify([request.tenant, request.modelUri, ...request.blocks]);
      const kept = rooms.get(key) ?? keep(key, createRoom(request));
      rooms.delete(key);
      rooms.set(key, kept);
      forgetIdle(kept);
      return kept.handedOut;
    },
    slots(tenant, blocks) {
      const each = blocks.flatMap((blockId) => slotsOf?.(tenant, blockId) ?? []);
      return each.length === 0 ? undefined : Math.min(...each);
    },
    close() {
      clearInterval(looking);
    },
  };
}
