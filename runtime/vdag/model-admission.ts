import { type GenerationLimits, generationLimits } from '../../sdk/spec/vdag.ts';
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

export const limitsOf = (limits: GenerationLimits | undefined): GenerationLimits =>
  limits ?? generationLimits.parse({});

/**
 * Counts slots by block, because models may share shards.
 *
 * @param slotsOf - of a block's ready instances together; undefined: none is ready, or it is not known
 */
export function createModelAdmission(
  slotsOf: (tenant: string, blockId: string) => number | undefined,
): ModelAdmission {
  const rooms = new Map<string, WaitingRoom>();
  const taken = new Map<string, number>();
  let looking: NodeJS.Timeout | undefined;

  function advanceAll(): void {
    const all = [...rooms.values()];
    for (const room of all) room.advance();
    if (all.some(({ waiting }) => waiting > 0)) {
      looking ??= setInterval(advanceAll, lookMs).unref();
    } else {
      clearInterval(looking);
      looking = undefined;
    }
  }

  function forgetIdle(): void {
    for (const [key, { waiting, open }] of rooms) {
      if (rooms.size <= keptRooms) return;
      if (waiting === 0 && open === 0) rooms.delete(key);
    }
  }

  function createRoom(key: string, { tenant, modelUri, blocks }: RoomRequest): WaitingRoom {
    const keyed = blocks.map((blockId) => ({ blockId, key: JSON.stringify([tenant, blockId]) }));
    const add = (by: 1 | -1) => {
      for (const one of keyed) {
        const now = (taken.get(one.key) ?? 0) + by;
        if (now === 0) taken.delete(one.key);
        else taken.set(one.key, now);
      }
    };
    return createWaitingRoom({
      modelUri,
      hasRoom: () =>
        keyed.every((one) => {
          const slots = slotsOf(tenant, one.blockId);
          return slots === undefined || (taken.get(one.key) ?? 0) < slots;
        }),
      onWaiting() {
        looking ??= setInterval(advanceAll, lookMs).unref();
      },
      onTaken() {
        add(1);
        // Of rooms that share a shard, the one that had a place last comes last.
        const room = rooms.get(key);
        rooms.delete(key);
        if (room) rooms.set(key, room);
      },
      onGiven() {
        add(-1);
        // Later: who gives it back has not gone out of the room yet.
        queueMicrotask(advanceAll);
      },
    });
  }

  return {
    room(request) {
      // A model of this name may be created anew, over other blocks.
      const key = JSON.stringify([request.tenant, request.modelUri, ...request.blocks]);
      const room = rooms.get(key) ?? createRoom(key, request);
      rooms.set(key, room);
      forgetIdle();
      return room;
    },
    slots(tenant, blocks) {
      const each = blocks.flatMap((blockId) => slotsOf(tenant, blockId) ?? []);
      return each.length === 0 ? undefined : Math.min(...each);
    },
    close() {
      clearInterval(looking);
    },
  };
}
