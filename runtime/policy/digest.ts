import { createHash } from 'node:crypto';
import { isDeeplyFrozen } from './freeze.ts';

/** Longer parts stand as their own digest inside what holds them. */
const inlineCharacters = 512;
/** Longer lists are cut into runs of so many elements. */
const runLength = 64;
/** Lists of the same elements that differ (all nodes; those that fit) share the first elements of some runs. */
const runsKept = 4;

/** Of frozen objects only: others may change. Holds the short form, so an inventory costs a hash a node. */
const references = new WeakMap<object, string>();

interface Run {
  readonly elements: readonly unknown[];
  readonly text: string;
}
/** By the first element: of a list in which one element was replaced, one run is read again. */
const runs = new WeakMap<object, Run[]>();

const sha256 = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`;

function sameRun(elements: readonly unknown[], list: readonly unknown[], from: number): boolean {
  for (let at = 0; at < elements.length; at += 1)
    if (elements[at] !== list[from + at]) return false;
  return true;
}

function runText(list: readonly unknown[], from: number): string {
  const first = list[from];
  const length = Math.min(runLength, list.length - from);
  const isObject = typeof first === 'object' && first !== null;
  const known = isObject ? (runs.get(first) ?? []) : [];
  for (const run of known) {
    if (run.elements.length === length && sameRun(run.elements, list, from)) return run.text;
  }
  const elements = list.slice(from, from + length);
  const text = reference(elements);
  if (isObject && isDeeplyFrozen(list))
    runs.set(first, [{ elements, text }, ...known.slice(0, runsKept - 1)]);
  return text;
}

function canonicalList(list: readonly unknown[]): string {
  const texts: string[] = [];
  if (list.length <= runLength) for (const element of list) texts.push(reference(element));
  else for (let from = 0; from < list.length; from += runLength) texts.push(runText(list, from));
  return `[${texts.join(',')}]`;
}

function canonical(value: object): string {
  if (Array.isArray(value)) return canonicalList(value);
  const fields = Object.keys(value)
    .sort()
    .map((key) => [key, (value as Record<string, unknown>)[key]] as const)
    .filter(([, field]) => field !== undefined)
    .map(([key, field]) => `${JSON.stringify(key)}:${reference(field)}`);
  return `{${fields.join(',')}}`;
}

function reference(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const known = references.get(value);
  if (known !== undefined) return known;
  const text = canonical(value);
  if (text.length <= inlineCharacters) return text;
  const short = JSON.stringify(sha256(text));
  if (isDeeplyFrozen(value)) references.set(value, short);
  return short;
}

/**
 * sha256 over the canonical JSON of a value (keys sorted, no spaces), in which a list of more than 64 elements stands as
 * the list of its runs of 64, and every object or list of more than 512 canonical characters as the digest of its own
 * canonical JSON. Depends on the value alone; a part that was frozen and seen before is not read again, so an input of
 * 1,000 nodes of which one changed costs microseconds.
 */
export function digestOf(value: unknown): string {
  const isObject = typeof value === 'object' && value !== null;
  return sha256(isObject ? canonical(value) : reference(value));
}
