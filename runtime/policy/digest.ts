import { createHash } from 'node:crypto';
import { isDeeplyFrozen } from './freeze.ts';

/** Longer parts stand as their own digest inside what holds them. */
const inlineCharacters = 512;

/** Of frozen objects only: others may change. Holds the short form, so an inventory costs a hash a node. */
const references = new WeakMap<object, string>();

const sha256 = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`;

function canonical(value: object): string {
  if (Array.isArray(value)) return `[${value.map(reference).join(',')}]`;
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
 * sha256 over the canonical JSON of a value (keys sorted, no spaces), in which every object or list of more than 512
 * canonical characters stands as the digest of its own canonical JSON. Depends on the value alone; a part that was frozen
 * and seen before is not read again, so an input of 1,000 unchanged nodes costs microseconds.
 */
export function digestOf(value: unknown): string {
  const isObject = typeof value === 'object' && value !== null;
  return sha256(isObject ? canonical(value) : reference(value));
}
