import type { Batch } from './batch.ts';
import { maskOneByOne } from './leaf.ts';
import type { Condition } from './subject.ts';

type Passes<S> = Condition<S>['passes'];

/** Of few parts, without a loop: most filters have two or three conditions. */
function every<S>(parts: readonly Passes<S>[]): Passes<S> {
  const [a, b, c] = parts;
  if (!a) return () => true;
  if (!b) return a;
  if (!c) return (subject) => a(subject) && b(subject);
  if (parts.length === 3) return (subject) => a(subject) && b(subject) && c(subject);
  return (subject) => {
    for (const part of parts) if (!part(subject)) return false;
    return true;
  };
}

function some<S>(parts: readonly Passes<S>[]): Passes<S> {
  const [a, b, c] = parts;
  if (!a) return () => false;
  if (!b) return a;
  if (!c) return (subject) => a(subject) || b(subject);
  if (parts.length === 3) return (subject) => a(subject) || b(subject) || c(subject);
  return (subject) => {
    for (const part of parts) if (part(subject)) return true;
    return false;
  };
}

/** Refuses with the first condition that does not hold. Of none, everything passes. */
export function all<S>(parts: readonly Condition<S>[]): Condition<S> {
  const [only] = parts;
  if (only && parts.length === 1) return only;
  return {
    text: parts.map(({ text }) => text).join(' AND '),
    passes: every(parts.map(({ passes }) => passes)),
    test(subject) {
      for (const part of parts) {
        const refused = part.test(subject);
        if (refused) return refused;
      }
      return undefined;
    },
    mask(batch: Batch<S>, word, among) {
      let left = among;
      for (const part of parts) {
        if (left === 0) return 0;
        left = part.mask(batch, word, left);
      }
      return left;
    },
  };
}

/** Refuses with all of them: any would have done. */
export function any<S>(parts: readonly Condition<S>[]): Condition<S> {
  const text = `(${parts.map((part) => part.text).join(' OR ')})`;
  return {
    text,
    passes: some(parts.map(({ passes }) => passes)),
    test(subject) {
      const seen: string[] = [];
      for (const part of parts) {
        const refused = part.test(subject);
        if (!refused) return undefined;
        seen.push(refused.seen);
      }
      return { refusedBy: text, seen: seen.join('; ') };
    },
    mask(batch: Batch<S>, word, among) {
      let passed = 0;
      for (const part of parts) {
        if (passed === among) return passed;
        passed |= part.mask(batch, word, among & ~passed);
      }
      return passed;
    },
  };
}

/** A condition on something that is reached from the subject; refusals say what is missing where it cannot be. */
export function on<S, T>(
  reach: (subject: S) => T | undefined,
  condition: Condition<T>,
  missing: string,
): Condition<S> {
  const passes = (subject: S): boolean => {
    const reached = reach(subject);
    return reached !== undefined && condition.passes(reached);
  };
  return {
    text: condition.text,
    passes,
    mask: maskOneByOne(passes),
    test(subject) {
      const reached = reach(subject);
      return reached === undefined
        ? { refusedBy: condition.text, seen: missing }
        : condition.test(reached);
    },
  };
}
