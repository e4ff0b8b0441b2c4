import { hash } from 'node:crypto';
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
const keptOf = kept.textOf as (value: object) => KeptPart | string | undefined;

/** With what stands for it inside what holds it: thousands of nodes are named time and again. */
interface KeptPart extends Part {
  readonly standIn: string;
}

interface Run {
  readonly elements: readonly unknown[];
  readonly text: string;
  readonly parts: readonly Part[];
}
/** By the first element: of a list in which one element was replaced, one run is read again. */
const runsOf = kept.runsOf as (first: object) => readonly Run[] | undefined;
/** Of a long frozen list; a run that is missing has not been read yet. */
const runsOfLists = new WeakMap<readonly unknown[], (Run | undefined)[]>();
/** Texts with keys in their own order, of frozen objects of some length: a block stands in every question about it. */
const ownTexts = new WeakMap<object, string>();
const worthKeeping = 100;
const manyKeys = 16;

export const keyOf = (text: string): string => hash('sha256', text, 'base64url');

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

function runsIn(list: readonly unknown[]): readonly Run[] {
  const known = runsOfLists.get(list) ?? [];
  const runs: Run[] = [];
  for (let from = 0; from < list.length; from += runLength) {
    runs.push(known[runs.length] ?? findRun(list, from));
  }
  if (isDeeplyFrozen(list)) runsOfLists.set(list, runs);
  return runs;
}

/**
 * Says that a frozen list differs from another only in some places, so that only their runs are looked at.
 *
 * @param places - where the elements are others; everywhere else they are the same objects
 */
export function carryRuns(
  before: readonly unknown[],
  list: readonly unknown[],
  places: Iterable<number>,
): void {
  const runs = runsOfLists.get(before);
  if (!runs || before.length !== list.length || !isDeeplyFrozen(list)) return;
  const carried = [...runs];
  for (const place of places) carried[Math.floor(place / runLength)] = undefined;
  runsOfLists.set(list, carried);
}

function canonicalList(list: readonly unknown[], walk: Walk): string {
  const texts: string[] = [];
  if (list.length <= runLength) {
    for (const element of list) texts.push(reference(element, walk));
    return `[${texts.join(',')}]`;
  }
  for (const run of runsIn(list)) {
    const isPart = run.text.startsWith('{');
    // What stands inline has its own order of keys; a reference has none.
    texts.push(isPart || walk.sorted ? run.text : canonicalList(run.elements, walk));
    if (isPart || walk.sorted) walk.parts?.push(...run.parts);
  }
  return `{"$":[${texts.join(',')}]}`;
}

/** Most objects have few keys, often in order already; `sort` copies them first. */
function sortKeys(keys: string[]): void {
  if (keys.length > manyKeys) {
    keys.sort();
    return;
  }
  for (let next = 1; next < keys.length; next += 1) {
    const key = keys[next] as string;
    let at = next;
    for (; at > 0 && (keys[at - 1] as string) > key; at -= 1) keys[at] = keys[at - 1] as string;
    keys[at] = key;
  }
}

function canonical(value: object, walk: Walk): string {
  if (Array.isArray(value)) return canonicalList(value, walk);
  const keys = Object.keys(value);
  if (walk.sorted) sortKeys(keys);
  const fields: string[] = [];
  for (const key of keys) {
    const field = (value as Readonly<Record<string, unknown>>)[key];
    if (field === undefined) continue;
    fields.push(keyText(key) + reference(field, walk));
  }
  return `{${fields.join(',')}}`;
}

/** Of what stands inline and refers to no part. */
function ownText(value: object): string {
  const known = ownTexts.get(value);
  if (known !== undefined) return known;
  const text = canonical(value, { sorted: false, parts: undefined });
  if (text.length >= worthKeeping && isDeeplyFrozen(value)) ownTexts.set(value, text);
  return text;
}

function reference(value: unknown, walk: Walk): string {
  if (typeof value !== 'object' || value === null) return plainText(value);
  const before = keptOf(value);
  if (typeof before === 'string') return walk.sorted ? before : ownText(value);
  let part = typeof before === 'object' ? before : undefined;
  if (!part) {
    const inner: Part[] | undefined = walk.parts && [];
    const text = canonical(value, { sorted: true, parts: inner });
    if (text.length <= inlineCharacters) {
      for (const each of inner ?? []) walk.parts?.push(each);
      if (!text.includes('{"$":')) kept.keepText(value, text);
      return walk.sorted ? text : canonical(value, { sorted: false, parts: undefined });
    }
    const key = keyOf(text);
    part = { key, value, standIn: `{"$":"${key}"}` };
    kept.keepText(value, part);
  }
  walk.parts?.push(part);
  return part.standIn;
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
