import { mebibyte } from '../units.ts';
import { type Located, withDefault } from './located.ts';
import { type Draft, Fields, type Reading } from './reading.ts';

const largestMebibytes = 2 ** 33;

/** AIOS writes sizes as numbers of MB, meaning 2^20 bytes. */
export function toBytes(reading: Reading, size: Located): number | undefined {
  const { value } = size;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && value <= largestMebibytes) {
    return Math.round(value * mebibyte);
  }
  reading.problem(size, {
    message: 'is no size',
    expected: "a number of MB (for text such as '2Gi' use the plain key, such as memoryBytes)",
  });
  return undefined;
}

/** Writes a value under its plain key, from that key or from AIOS's; absent, it is missed under the preferred one. */
export function readEither(
  draft: Draft,
  key: string,
  {
    plain,
    aios,
    preferAios,
  }: { readonly plain: Located; readonly aios: Located; readonly preferAios: boolean },
  convert: (reading: Reading, located: Located) => unknown = (_, { value }) => value,
): void {
  if (plain.value === undefined && (aios.value !== undefined || preferAios)) {
    draft.put(key, aios, convert(draft.reading, aios));
    return;
  }
  draft.put(key, plain);
  if (aios.value !== undefined) {
    draft.reading.problem(aios, { message: `says the same as '${key}'; keep one of the two` });
  }
}

/** The members of a group such as `{"count": 16}`; all absent when the group is. */
export function readGroup<const N extends string>(
  reading: Reading,
  group: Located,
  names: readonly N[],
  ignored: readonly string[] = [],
): Readonly<Record<N, Located>> {
  const fields = new Fields(reading, withDefault(group, {}));
  const members = names.map((name) => [name, fields.take(name)] as const);
  fields.ignore('is not read here; the nodes say it', ...ignored);
  fields.done();
  return Object.fromEntries(members) as Record<N, Located>;
}

/** Declared and actual differ: the nodes are what counts. */
export function warnUnequal(
  reading: Reading,
  declared: Located,
  what: string,
  actual: number,
): void {
  if (typeof declared.value !== 'number' || declared.value === actual) return;
  reading.warn(declared, `is ${declared.value}, but ${what} ${actual}; the latter is taken`);
}

/** @returns 0 for none. */
export const sum = (numbers: readonly number[]): number =>
  numbers.reduce((total, one) => total + one, 0);
