/** Gives back what it is handed, so that the private fields of a class that extends it go onto that. */
const Itself = function itself(value: object) {
  return value;
} as unknown as new (
  value: object,
) => object;

/**
 * The mark of a deeply frozen object, and what was derived from it. A private field on the object itself: a look-up in a
 * WeakMap takes ten times as long, and an inventory's hundreds of thousands of entries would be gone through at every
 * garbage collection.
 */
class Mark extends Itself {
  #text: unknown;
  #runs: unknown;

  static isOn(value: object): boolean {
    return #text in value;
  }
  static textOf(value: object): unknown {
    return #text in value ? value.#text : undefined;
  }
  static runsOf(value: object): unknown {
    return #runs in value ? value.#runs : undefined;
  }
  static keepText(value: object, text: unknown): void {
    if (#text in value) value.#text = text;
  }
  static keepRuns(value: object, runs: unknown): void {
    if (#runs in value) value.#runs = runs;
  }
}

/**
 * Freezes a JSON value and everything in it, in place, so that a policy cannot change its caller's data. What was frozen
 * here before costs one look-up: an inventory is frozen once a revision, not once an evaluation.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Mark.isOn(value)) return value;
  new Mark(value);
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) deepFreeze(value[at]);
  } else {
    const fields = value as Readonly<Record<string, unknown>>;
    for (const key of Object.keys(fields)) deepFreeze(fields[key]);
  }
  return Object.freeze(value);
}

/** Freezes a list whose elements {@link deepFreeze} has all seen, without looking at them again. */
export function freezeList<T extends object>(elements: T[]): readonly T[] {
  if (!Mark.isOn(elements)) new Mark(elements);
  return Object.freeze(elements);
}

/** Whether {@link deepFreeze} has seen it: what is derived from it may be kept. */
export const isDeeplyFrozen = (value: object): boolean => Mark.isOn(value);

/** What is kept of deeply frozen values, and of no others. @see digest.ts */
export const kept = {
  textOf: (value: object): unknown => Mark.textOf(value),
  keepText: (value: object, text: unknown): void => Mark.keepText(value, text),
  runsOf: (value: object): unknown => Mark.runsOf(value),
  keepRuns: (value: object, runs: unknown): void => Mark.keepRuns(value, runs),
};
