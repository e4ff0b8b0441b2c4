import type { Batch } from './batch.ts';
import type { Comparison } from './comparison.ts';
import { showSeen } from './show.ts';
import type { Condition, ScalarVariable, Stats, Variable } from './subject.ts';

type Passes<S> = Condition<S>['passes'];
type Mask<S> = Condition<S>['mask'];

/** One by one, of those that are asked about. */
export const maskOneByOne =
  <S>(passes: Passes<S>): Mask<S> =>
  ({ things }, word, among) => {
    let bits = 0;
    for (let left = among; left !== 0; left &= left - 1) {
      const at = 31 - Math.clz32(left & -left);
      if (passes(things[word * 32 + at] as S)) bits |= 1 << at;
    }
    return bits;
  };

/** A column against two bounds: no call and no object inside the loop. */
const maskBounds =
  <S>(read: (subject: S) => number, low: number, high: number, negated: boolean): Mask<S> =>
  (batch: Batch<S>, word, among) => {
    const column = batch.column(read);
    const from = word * 32;
    const length = Math.min(32, column.length - from);
    let bits = 0;
    for (let at = 0; at < length; at += 1) {
      const value = column[from + at] as number;
      // No branch: which of thousands of nodes pass is hard to predict.
      bits |= (Number(value >= low) & Number(value <= high)) << at;
    }
    return (negated ? ~bits : bits) & among;
  };

/** The values that pass, each with those that have it. What is not known has none, and no value passes for it. */
const maskIndexed =
  <S>(variable: Variable<S>, { test, negated }: Comparison): Mask<S> =>
  (batch, word, among) => {
    let bits = 0;
    for (const [value, having] of batch.index(variable)) {
      if (test(value)) bits |= having[word] as number;
    }
    return (negated ? ~bits : bits) & among;
  };

function scalar<S>(variable: ScalarVariable<S>, comparison: Comparison) {
  const { negated, test, bounds } = comparison;
  const { number, read } = variable;
  if (number && bounds) {
    const { low, high } = bounds;
    const passes: Passes<S> = negated
      ? (subject) => {
          const value = number(subject);
          return !(value >= low && value <= high);
        }
      : (subject) => {
          const value = number(subject);
          return value >= low && value <= high;
        };
    return { passes, mask: maskBounds(number, low, high, negated) };
  }
  const found: (subject: S) => unknown = number ?? read;
  const passes: Passes<S> = negated
    ? (subject) => !test(found(subject))
    : (subject) => test(found(subject));
  return { passes, mask: number ? maskOneByOne(passes) : maskIndexed(variable, comparison) };
}

/** `variable operator value`. */
export function createLeaf<S>(
  text: string,
  variable: Variable<S>,
  comparison: Comparison,
): Condition<S> {
  const { negated, test: holds } = comparison;
  let found: Pick<Condition<S>, 'passes' | 'mask'>;
  if (variable.list) {
    const { some } = variable;
    const passes: Passes<S> = negated
      ? (subject) => !some(subject, holds)
      : (subject) => some(subject, holds);
    // Numbers are hardly ever the same twice.
    const isNumbers = variable.type === 'number' || variable.type === 'bytes';
    const mask = isNumbers ? maskOneByOne(passes) : maskIndexed(variable, comparison);
    found = { passes, mask };
  } else {
    found = scalar(variable, comparison);
  }
  const { passes } = found;
  return {
    text,
    ...found,
    test: (subject) =>
      passes(subject) ? undefined : { refusedBy: text, seen: showSeen(variable.read(subject)) },
  };
}

const unknown = Number.NaN;
const fromStats: Readonly<Record<string, (stats: Stats) => number>> = {
  sum: ({ sum }) => sum,
  avg: ({ count, sum }) => (count > 0 ? sum / count : unknown),
  min: ({ count, min }) => (count > 0 ? min : unknown),
  max: ({ count, max }) => (count > 0 ? max : unknown),
};
export const aggregateNames: readonly string[] = ['count', ...Object.keys(fromStats)];

/**
 * `sum(list)` and the like as one number.
 *
 * @returns nothing where the variable is no list, or no list of numbers and another than `count` was asked for
 */
export function aggregate<S>(name: string, variable: Variable<S>): ScalarVariable<S> | undefined {
  if (!variable.list) return undefined;
  const { size, stats } = variable;
  const combine = fromStats[name];
  if (!combine) return { type: 'number', list: false, number: size, read: size };
  if (!stats) return undefined;
  const number = (subject: S): number => combine(stats(subject));
  return { type: 'number', list: false, number, read: number };
}
