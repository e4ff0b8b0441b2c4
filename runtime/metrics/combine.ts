import type { Aggregator } from '../../sdk/metric-fields.ts';

/** Takes numbers one by one; there may be tens of thousands. */
export interface Combiner {
  /** What is not known is passed over. */
  add(value: number | undefined): void;
  /** Nothing where nothing was added. */
  readonly value: number | undefined;
}

function create(
  step: (sofar: number, value: number) => number,
  finish: (sofar: number, count: number) => number = (sofar) => sofar,
): () => Combiner {
  return () => {
    let sofar = 0;
    let count = 0;
    return {
      add(value) {
        if (value === undefined) return;
        sofar = count === 0 ? value : step(sofar, value);
        count += 1;
      },
      get value() {
        return count === 0 ? undefined : finish(sofar, count);
      },
    };
  };
}

const plus = (a: number, b: number): number => a + b;

export const createMean = create(plus, (sum, count) => sum / count);
export const combiners: Readonly<Record<Aggregator, () => Combiner>> = {
  sum: create(plus),
  mean: createMean,
  max: create(Math.max),
  min: create(Math.min),
};

export function meanOf(values: readonly (number | undefined)[]): number | undefined {
  const mean = createMean();
  for (const value of values) mean.add(value);
  return mean.value;
}
