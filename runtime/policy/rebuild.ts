import { StoreError } from '../../sdk/errors.ts';
import { keyOf, showKey } from './digest.ts';

/** Text of a part, by its key; nothing where it is gone. */
export type ReadPart = (key: string) => Promise<string | undefined>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unescapeKey = (key: string): string => (key.startsWith('$$') ? key.slice(1) : key);

/** What `{"$": …}` stands for: a part, or runs of a list. */
function markOf(tree: Readonly<Record<string, unknown>>): unknown {
  return Object.hasOwn(tree, '$') ? tree.$ : undefined;
}

/** The text as it was digested: keys sorted, as they were before a `$` was put before some. */
function sortedText(tree: unknown): string {
  if (Array.isArray(tree)) return `[${tree.map(sortedText).join(',')}]`;
  if (!isObject(tree)) return JSON.stringify(tree);
  const fields = Object.keys(tree)
    .map((key) => [unescapeKey(key), key] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, key]) => `${JSON.stringify(key)}:${sortedText(tree[key])}`);
  return `{${fields.join(',')}}`;
}

function corrupt(key: string, why: string): StoreError {
  return new StoreError(
    'STORE_CORRUPT',
    `what was recorded of a decision cannot be rebuilt: part ${showKey(key)} ${why}. Restore the data directory from a backup; the decision itself can still be read.`,
    { details: { digest: showKey(key) } },
  );
}

function parse(text: string, key: string): unknown {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    throw corrupt(key, 'is not JSON');
  }
  if (keyOf(sortedText(tree)) !== key)
    throw corrupt(key, 'has another digest than it is kept under');
  return tree;
}

/**
 * Rebuilds a value from its text and the parts that it refers to. Each part is read once, checked against its digest, and
 * stands wherever it is referred to, as the same object.
 *
 * @param digest - of the whole, where it is known
 * @throws {StoreError} STORE_CORRUPT - a part is missing, or has another digest
 */
export async function rebuild(text: string, read: ReadPart, digest?: string): Promise<unknown> {
  const parts = new Map<string, Promise<unknown>>();

  async function readPart(key: string): Promise<unknown> {
    const found = await read(key);
    if (found === undefined) throw corrupt(key, 'is gone');
    return revive(parse(found, key));
  }

  function part(key: string): Promise<unknown> {
    const reading = parts.get(key) ?? readPart(key);
    parts.set(key, reading);
    return reading;
  }

  async function reviveList(trees: readonly unknown[]): Promise<unknown[]> {
    const values: unknown[] = [];
    for (const tree of trees) values.push(await revive(tree));
    return values;
  }

  async function revive(tree: unknown): Promise<unknown> {
    if (Array.isArray(tree)) return reviveList(tree);
    if (!isObject(tree)) return tree;
    const mark = markOf(tree);
    if (typeof mark === 'string') return part(mark);
    if (Array.isArray(mark)) return (await reviveList(mark)).flat();
    const fields: [string, unknown][] = [];
    for (const key of Object.keys(tree)) fields.push([unescapeKey(key), await revive(tree[key])]);
    // Defines even `__proto__` as a field of its own.
    return Object.fromEntries(fields);
  }

  const key = digest && Buffer.from(digest.replace(/^sha256:/, ''), 'hex').toString('base64url');
  return revive(key ? parse(text, key) : JSON.parse(text));
}
