import { createHash } from 'node:crypto';
import { isDeeplyFrozen, kept } from './freeze.ts';

/** Longer parts stand as their own digest inside what holds them. */
const inlineCharacters = 512;
/** Longer lists are cut into runs of so many elements. */
const runLength = 64;
/** Lists of the same elements that differ (all nodes; those that fit) share the first elements of some runs. */
const runsKept = 4;

/** A value, or a long part of one, under the digest of its canonical text. */
export interface Part {
  /** sha256, base64url: short, because long lists are made of them. */
  readonly key: string;
  readonly value: object;
}

/**
 * Of deeply frozen objects only, since others may change: the part that an object is, or its text where that is short and
 * refers to no part. So an inventory costs a hash a node, once, and of a node of which one device changed, the others are
 * not read again.
 */
const keptOf = kept.textOf as (value: object) => Part | string | undefined;

interface Run {
  readonly elements: readonly unknown[];
  readonly text: string;
  readonly parts: readonly Part[];
}
/** By the first element: of a list in which one element was replaced, one run is read again. */
const runsOf = kept.runsOf as (first: object) => readonly Run[] | undefined;

export const keyOf = (text: string): string =>
  createHash('sha256').update(text).digest('base64url');

/** A key that starts with `$` gets another one, so that `{"$": …}` is always ours. */
const escapeKey = (key: string): string => (key.startsWith('$') ? `$${key}` : key);

const keyTexts = new Map<string, string>();
const keyTextsKept = 1000;

/** Schemas have few keys; authors' data may have any. */
function keyText(key: string): string {
  const known = keyTexts.get(key);
  if (known !== undefined) return known;
  const text = `${JSON.stringify(escapeKey(key))}:`;
  if (keyTexts.size < keyTextsKept) keyTexts.set(key, text);
  return text;
}

/** As JSON.stringify, which takes ten times as long for a number. */
function plainText(value: unknown): string {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  return JSON.stringify(value) ?? 'null';
}

/** One way through a value: which order of keys, and where the parts go that it refers to. */
interface Walk {
  readonly sorted: boolean;
  readonly parts: Part[] | undefined;
}

function sameRun(elements: readonly unknown[], list: readonly unknown[], from: number): boolean {
  for (let at = 0; at < elements.length; at += 1)
    if (elements[at] !== list[from + at]) return false;
  return true;
}

function findRun(list: readonly unknown[], from: number): Run {
  const first = list[from];
  const length = Math.min(runLength, list.length - from);
  const keeps = typeof first === 'object' && first !== null && isDeeplyFrozen(list);
  const before = keeps ? (runsOf(first) ?? []) : [];
  for (const run of before) {
    if (run.elements.length === length && sameRun(run.elements, list, from)) return run;
  }
  // Not slice: of a frozen list it takes a hundred times as long.
  const elements: unknown[] = [];
  for (let at = 0; at < length; at += 1) elements.push(list[from + at]);
  const parts: Part[] = [];
  const run = { elements, text: reference(elements, { sorted: true, parts }), parts };
  if (keeps) kept.keepRuns(first, [run, ...before.slice(0, runsKept - 1)]);
  return run;
}

function canonicalList(list: readonly unknown[], walk: Walk): string {
  const texts: string[] = [];
  if (list.length <= runLength) {
    for (const element of list) texts.push(reference(element, walk));
    return `[${texts.join(',')}]`;
  }
  for (let from = 0; from < list.length; from += runLength) {
    const run = findRun(list, from);
    const isPart = run.text.startsWith('{');
    // What stands inline has its own order of keys; a reference has none.
    texts.push(isPart || walk.sorted ? run.text : canonicalList(run.elements, walk));
    if (isPart || walk.sorted) walk.parts?.push(...run.parts);
  }
  return `{"$":[${texts.join(',')}]}`;
}

function canonical(value: object, walk: Walk): string {
  if (Array.isArray(value)) return canonicalList(value, walk);
  const keys = Object.keys(value);
  if (walk.sorted) keys.sort();
  const fields: string[] = [];
  for (const key of keys) {
    const field = (value as Readonly<Record<string, unknown>>)[key];
    if (field === undefined) continue;
    fields.push(keyText(key) + reference(field, walk));
  }
  return `{${fields.join(',')}}`;
}

const standIn = ({ key }: Part): string => `{"$":"${key}"}`;

function reference(value: unknown, walk: Walk): string {
  if (typeof value !== 'object' || value === null) return plainText(value);
  const before = keptOf(value);
  if (typeof before === 'string' && walk.sorted) return before;
  let part = typeof before === 'object' ? before : undefined;
  if (!part) {
    const inner: Part[] | undefined = walk.parts && [];
    const text = canonical(value, { sorted: true, parts: inner });
    if (text.length <= inlineCharacters) {
      for (const each of inner ?? []) walk.parts?.push(each);
      if (!text.includes('{"$":')) kept.keepText(value, text);
      return walk.sorted ? text : canonical(value, { sorted: false, parts: undefined });
    }
    part = { key: keyOf(text), value };
    kept.keepText(value, part);
  }
  walk.parts?.push(part);
  return standIn(part);
}

const whole: Walk = { sorted: true, parts: undefined };

function textOf(value: unknown, walk: Walk): string {
  return typeof value === 'object' && value !== null ? canonical(value, walk) : plainText(value);
}

/** How a {@link Part} key is shown: `sha256:` and hexadecimal digits. */
export const showKey = (key: string): string =>
  `sha256:${Buffer.from(key, 'base64url').toString('hex')}`;

/**
 * sha256 over the canonical JSON of a value (keys sorted, no spaces), in which a list of more than 64 elements stands as
 * `{"$": […]}` of its runs of 64, and every object or list of more than 512 canonical characters as `{"$": "digest"}` of
 * its own canonical JSON; keys of the value that start with `$` get another one before them. Depends on the value alone; a
 * part that was frozen and seen before is not read again, so an input of 1,000 nodes of which one changed costs
 * microseconds.
 */
export const digestOf = (value: unknown): string => showKey(keyOf(textOf(value, whole)));

/** What stands under a digest: its text, and the parts that the text refers to. */
export interface Content {
  readonly text: string;
  readonly parts: readonly Part[];
}

/**
 * The text of a frozen value as {@link digestOf} reads it, but keys in their own order: a policy can see that order.
 * Sorted again, it has the digest.
 */
export function contentOf(value: unknown): Content {
  const parts: Part[] = [];
  return { text: textOf(value, { sorted: false, parts }), parts };
}

const standInPattern = /\{"\$":"([\w-]{43})"\}/g;

/** Keys of the parts that a text refers to, as often as it does. Inside a string a quote has a backslash before it. */
export const partsIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(standInPattern), ([, key = '']) => key);
