import { type Problem, shorten } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { at, entries, formatPath, isObject, type Located, type Segment } from './located.ts';

const maxListed = 24;

/** `one of: a, b, c`, not all of them where there are many. */
export function oneOf(choices: Iterable<string>): string {
  const all = [...choices];
  const more = all.length > maxListed ? `, … (${all.length})` : '';
  return `one of: ${all.slice(0, maxListed).join(', ')}${more}`;
}

const placeKey = (segments: readonly PropertyKey[]): string => segments.map(String).join('\u0000');

/** Nobody reads more; and what they cost must not grow with a hostile document. */
export const maxProblems = 1000;

/** A document of more nodes would be several documents. */
const maxElements = 10_000;

/** What is found while one document is brought into the plain form. */
export class Reading {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #places = new Map<string, string>();
  readonly #following = new Set<PropertyKey>();

  /** More problems would not be kept: reading on is for nothing. */
  get isFull(): boolean {
    return this.problems.length >= maxProblems;
  }

  /**
   * @param choices - what would have been right there: listed, and searched for the one nearest to `word`
   * @param word - what the author wrote; the value, if left out
   */
  problem(
    where: Located,
    problem: Omit<Problem, 'path' | 'seen'>,
    choices?: Iterable<string>,
    word: unknown = where.value,
  ): void {
    if (this.isFull) return;
    const close = choices && typeof word === 'string' ? nearest(word, choices) : undefined;
    this.problems.push({
      path: where.path,
      ...(choices ? { expected: oneOf(choices) } : {}),
      ...problem,
      ...(where.value === undefined ? {} : { seen: shorten(where.value) }),
      ...(close === undefined ? {} : { nearest: close }),
    });
  }

  warn(where: { readonly path: string }, message: string): void {
    if (this.warnings.length < maxProblems) this.warnings.push({ path: where.path, message });
  }

  /** A top-level key of the plain form that follows from others: what is wrong with those is reported, not this. */
  follows(key: string): void {
    this.#following.add(key);
  }

  /** @returns whether a problem there was already reported, or follows from another. */
  explains(plain: readonly PropertyKey[]): boolean {
    const [first] = plain;
    if (first !== undefined && this.#following.has(first)) return true;
    const path = this.locate(plain);
    return this.problems.some(
      (problem) =>
        path.startsWith(problem.path) && /^[.[]?$/.test(path.charAt(problem.path.length)),
    );
  }

  /** Remembers where in the user's document a value of the plain form came from. */
  place(plain: readonly PropertyKey[], path: string): void {
    this.#places.set(placeKey(plain), path);
  }

  /** @returns the path in the user's document of a value of the plain form. */
  locate(plain: readonly PropertyKey[]): string {
    for (let length = plain.length; length >= 0; length -= 1) {
      const path = this.#places.get(placeKey(plain.slice(0, length)));
      if (path !== undefined) return formatPath(path, plain.slice(length));
    }
    return formatPath('$', plain);
  }
}

/** An object of the plain form under construction, which knows where each of its values came from. */
export class Draft {
  readonly value: Record<string, unknown> = {};
  readonly reading: Reading;
  readonly at: readonly Segment[];

  constructor(reading: Reading, segments: readonly Segment[], path: string) {
    this.reading = reading;
    this.at = segments;
    reading.place(segments, path);
  }

  /**
   * Takes a value over, or what it was converted to. An absent one only leaves its place, for the error that it is missing.
   */
  put(key: string, located: Located, ...converted: readonly [value?: unknown]): void {
    this.reading.place([...this.at, key], located.path);
    const value = converted.length > 0 ? converted[0] : located.value;
    if (value !== undefined) this.value[key] = value;
  }

  /** A value the document does not hold. */
  derive(key: string, value: unknown): void {
    if (value !== undefined && this.value[key] === undefined) this.value[key] = value;
  }

  object(key: string, located: Located): Draft {
    const draft = new Draft(this.reading, [...this.at, key], located.path);
    this.value[key] = draft.value;
    return draft;
  }

  /**
   * Reads a list of at most 10,000 objects, each into a draft of its own. A value that is no list is left to the schema.
   */
  each(key: string, list: Located, read: (element: Draft, located: Located) => void): void {
    if (!Array.isArray(list.value)) {
      this.put(key, list);
      return;
    }
    const add = this.list(key, list);
    if (list.value.length > maxElements) {
      const message = `has ${list.value.length} elements`;
      const expected = `at most ${maxElements}`;
      this.reading.problem({ path: list.path, value: undefined }, { message, expected });
      return;
    }
    for (const [, located] of entries(list)) {
      if (this.reading.isFull) return;
      read(add(located), located);
    }
  }

  /** @returns a function that starts the next element of the list. */
  list(key: string, located: Located): (element: Located) => Draft {
    const list: unknown[] = [];
    this.value[key] = list;
    this.reading.place([...this.at, key], located.path);
    return (element) => {
      const draft = new Draft(this.reading, [...this.at, key, list.length], element.path);
      list.push(draft.value);
      return draft;
    };
  }
}

/** The keys of one object of the user's document. What nobody asks for is an unknown key. */
export class Fields {
  readonly located: Located;
  readonly #reading: Reading;
  readonly #known = new Set<string>();
  /** Accepted, but nothing to suggest. */
  readonly #ignored = new Set<string>();

  /** A value that is no object is a problem, and then reads as an empty one. */
  constructor(reading: Reading, located: Located) {
    this.#reading = reading;
    const usable = isObject(located.value);
    if (!usable) {
      const message = located.value === undefined ? 'is missing' : 'has the wrong type';
      reading.problem(located, { message, expected: 'an object' });
    }
    this.located = usable ? located : { path: located.path, value: {} };
  }

  has(name: string): boolean {
    return at(this.located, name).value !== undefined;
  }

  /**
   * The value under the first of several names for the same thing; the value is undefined when all are absent, and the
   * path then says where the first would be. Two at once are a problem.
   */
  take(...names: readonly [string, ...string[]]): Located {
    for (const name of names) this.#known.add(name);
    const present = [...new Set(names)].filter((name) => this.has(name));
    const [first = names[0], second] = present;
    if (second !== undefined) {
      this.#reading.problem(at(this.located, second), {
        message: `says the same as '${first}'; keep one of the two`,
      });
    }
    return at(this.located, first);
  }

  /** Keys that mean nothing here: accepted with a warning. */
  ignore(reason: string, ...names: readonly string[]): void {
    for (const name of names) {
      this.#ignored.add(name);
      if (this.has(name)) this.#reading.warn(at(this.located, name), reason);
    }
  }

  /** Reports every key that was not asked for. Call last. */
  done(): void {
    for (const key of Object.keys(this.located.value as object)) {
      if (this.#reading.isFull) return;
      if (this.#known.has(key) || this.#ignored.has(key) || !this.has(key)) continue;
      this.#reading.problem(
        at(this.located, key),
        { message: `'${key}' is not a key here` },
        [...this.#known].sort(),
        key,
      );
    }
  }
}
