/**
 * Remembers what was computed of a frozen object for as long as the object lives. Of the thousands of nodes that a
 * decision looks at, hardly any changed since the last one, and what did not change is the same object.
 *
 * @param compute - must depend on the object alone, and never give `undefined`
 */
export function memoFrozen<T extends object, R>(compute: (of: T) => R): (of: T) => R {
  const known = new WeakMap<T, R>();
  return (of) => {
    const found = known.get(of);
    if (found !== undefined) return found;
    const value = compute(of);
    if (Object.isFrozen(of)) known.set(of, value);
    return value;
  };
}
