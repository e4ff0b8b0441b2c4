/** How long something takes as a rule, by the last times it was done. */
export interface UsualTime {
  add(ms: number): void;
  /** The median; undefined before the first. */
  readonly ms: number | undefined;
}

const windowSize = 64;
/** The median of so many changes slowly: it is worked out anew after this many more. */
const refreshAfter = 8;

/** Of an even number the lower of the two in the middle. */
export const median = (values: readonly number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/** After this many quicker ones, half of the slowest is forgotten. */
const peakHalfLife = 1024;

/** How long something takes at most: the slowest time, forgotten slowly while it goes quicker. */
export function createSlowTime(): UsualTime {
  const kept = 0.5 ** (1 / peakHalfLife);
  let ms: number | undefined;
  return {
    add(sample) {
      ms = Math.max(sample, (ms ?? 0) * kept);
    },
    get ms() {
      return ms;
    },
  };
}

export function createUsualTime(): UsualTime {
  const window: number[] = [];
  let count = 0;
  let ms: number | undefined;
  return {
    add(sample) {
      window[count % windowSize] = sample;
      count += 1;
      if (count < refreshAfter || count % refreshAfter === 0) ms = median(window);
    },
    get ms() {
      return ms;
    },
  };
}
