import { AiosError } from '../../sdk/errors.ts';
import type { GenerationLimits } from '../../sdk/spec/vdag.ts';
import type { Place, WaitingRoom } from './waiting-room.ts';

/** One answer's place in the shards: waited for once, and kept while what it lost is opened again elsewhere. */
export interface AnswerPlace {
  readonly waitedMs: number;
  /** Runs `open` once there is a place. Until it has worked once, a shard that is full after all means to wait again. */
  opening<T>(open: () => Promise<T>): Promise<T>;
  /** Safe to call twice, and before there is a place. */
  leave(): void;
}

export interface AnswerPlaceOptions {
  readonly room: WaitingRoom;
  readonly client: string;
  readonly limits: GenerationLimits;
  readonly signal: AbortSignal;
  /** There is a place, and its shards took the session. */
  readonly onAdmitted: (waitedMs: number) => void;
}

export function createAnswerPlace(options: AnswerPlaceOptions): AnswerPlace {
  const { room, client, limits, signal, onAdmitted } = options;
  let place: Place | undefined;
  let opened = false;

  return {
    get waitedMs() {
      return place?.waitedMs ?? 0;
    },
    async opening(open) {
      place ??= await room.enter(client, limits, signal);
      for (;;) {
        try {
          const session = await open();
          if (!opened) onAdmitted(place.waitedMs);
          opened = true;
          return session;
        } catch (error) {
          if (opened || AiosError.from(error).code !== 'BUSY') throw error;
          await place.again();
        }
      }
    },
    leave: () => place?.leave(),
  };
}
