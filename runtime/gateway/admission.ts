import { AiosError } from '../../sdk/errors.ts';

/** A bounded number of requests at once; there is no queue: who does not fit is told to come again. */
export interface Admission {
  /** @returns gives the place back; safe to call twice @throws {AiosError} BUSY */
  enter(): () => void;
}

export function createAdmission(what: string, limit: number): Admission {
  let inside = 0;
  return {
    enter() {
      if (inside >= limit) {
        throw new AiosError(
          'BUSY',
          `${limit} ${what} are being answered, which is the limit. Ask again in a moment.`,
        );
      }
      inside += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        inside -= 1;
      };
    },
  };
}
