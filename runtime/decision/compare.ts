import type { Difference } from '../../sdk/client/api.ts';
import { shorten } from '../../sdk/errors.ts';

type Fields = Readonly<Record<string, unknown>>;

const maxDifferences = 100;
const idKeys = ['nodeId', 'clusterId', 'instanceId', 'id', 'index'] as const;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A list of rows as rows by id; nothing where they have none, or two share one. */
function byId(list: readonly unknown[]): ReadonlyMap<string, unknown> | undefined {
  const key = idKeys.find((name) =>
    list.every((row) => isFields(row) && ['string', 'number'].includes(typeof row[name])),
  );
  if (key === undefined || list.length === 0) return undefined;
  const rows = new Map(list.map((row) => [String((row as Fields)[key]), row]));
  return rows.size === list.length ? rows : undefined;
}

const byIndex = (list: readonly unknown[]): ReadonlyMap<string, unknown> =>
  new Map(list.map((value, at) => [String(at), value]));

/** As JSON says it: no `undefined`, no −0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isFields(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Whether two answers are the same JSON, in whatever order their keys are. */
export const sameJson = (a: unknown, b: unknown): boolean =>
  sortedJson(plain(a)) === sortedJson(plain(b));

/** Where two answers differ, row by row; rows with an id are matched by it. */
export function differences(recorded: unknown, replayed: unknown): readonly Difference[] {
  const found: Difference[] = [];

  function note(path: string, a: unknown, b: unknown): void {
    found.push({
      path,
      ...(a === undefined ? {} : { recorded: shorten(a) }),
      ...(b === undefined ? {} : { replayed: shorten(b) }),
    });
  }

  function compareKeyed(
    path: (key: string) => string,
    a: ReadonlyMap<string, unknown>,
    b: ReadonlyMap<string, unknown>,
  ): void {
    for (const key of new Set([...a.keys(), ...b.keys()])) {
      if (found.length >= maxDifferences) return;
      compare(path(key), a.get(key), b.get(key));
    }
  }

  function compare(path: string, a: unknown, b: unknown): void {
    if (Array.isArray(a) && Array.isArray(b)) {
      // An instance has its place by position.
      const isRows = !path.endsWith('.assignments');
      const [rowsA, rowsB] = isRows ? [byId(a), byId(b)] : [];
      const before = found.length;
      if (rowsA && rowsB) compareKeyed((key) => `${path}[${key}]`, rowsA, rowsB);
      else compareKeyed((key) => `${path}[${key}]`, byIndex(a), byIndex(b));
      if (found.length === before && !sameJson(a, b)) {
        note(`${path} (order)`, rowsA && [...rowsA.keys()], rowsB && [...rowsB.keys()]);
      }
    } else if (isFields(a) && isFields(b)) {
      const fields = (value: Fields) => new Map(Object.entries(value));
      compareKeyed((key) => `${path}.${key}`, fields(a), fields(b));
    } else if (!Object.is(a, b)) {
      note(path, a, b);
    }
  }

  compare(
    '$',
    recorded === undefined ? undefined : plain(recorded),
    replayed === undefined ? undefined : plain(replayed),
  );
  return found;
}

/** What explains an answer, and decides nothing. */
const telling = new Set(['score', 'scores', 'nodes', 'nodeCounts', 'reason', 'note', 'message']);

/** The answer without what only explains it: two policies agree when these are the same. */
export function decisive(output: unknown): unknown {
  if (!isFields(output)) return output;
  const kept = Object.entries(output)
    .filter(([key, value]) => !telling.has(key) && !(key === 'refused' && Array.isArray(value)))
    // In words, `refused` says why; that it is there, decides.
    .map(([key, value]) => [key, key === 'refused' ? true : value] as const);
  return Object.fromEntries(kept);
}
