const frozen = new WeakSet<object>();

/**
 * Freezes a JSON value and everything in it, in place, so that a policy cannot change its caller's data. What was frozen
 * here before costs one look-up: an inventory is frozen once a revision, not once an evaluation.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  frozen.add(value);
  const children: Iterable<unknown> = Array.isArray(value) ? value : Object.values(value);
  for (const child of children) deepFreeze(child);
  return Object.freeze(value);
}

/** Freezes a list whose elements {@link deepFreeze} has all seen, without looking at them again. */
export function freezeList<T extends object>(elements: T[]): readonly T[] {
  frozen.add(elements);
  return Object.freeze(elements);
}

/** Whether {@link deepFreeze} has seen it: what is derived from it may be kept. */
export const isDeeplyFrozen = (value: object): boolean => frozen.has(value);
