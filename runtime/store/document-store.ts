import { AiosError, StoreError } from '../../sdk/errors.ts';
import { createChangeFeed } from './change-feed.ts';
import type { Row, StoreEngine } from './engine.ts';
import type { Change, DocumentKey, Operation, Store, StoredDocument } from './store.ts';

const pageLimits = { rows: 256, characters: 4 * 2 ** 20 } as const;

const named = ({ tenant, kind, id }: DocumentKey): string =>
  `${kind} '${id}' of tenant '${tenant}'`;
const keyOf = ({ tenant, kind, id }: DocumentKey): DocumentKey => ({ tenant, kind, id });

function toDocument<T>(row: Row): StoredDocument<T> {
  try {
    return { ...row, value: JSON.parse(row.value) as T };
  } catch (cause) {
    throw new StoreError(
      'STORE_CORRUPT',
      `${named(row)} is stored as something that is not JSON. Restore the data directory from a backup.`,
      { cause },
    );
  }
}

/** Of what was just written: most changes have no listener, so it is parsed when one looks. */
function writtenDocument(row: Row): StoredDocument {
  let parsed: { readonly value: unknown } | undefined;
  return {
    ...row,
    get value() {
      parsed ??= { value: JSON.parse(row.value) };
      return parsed.value;
    },
  };
}

function checkOperations(operations: readonly Operation[], engine: StoreEngine): void {
  const seen = new Set<string>();
  for (const operation of operations) {
    const key = JSON.stringify([operation.tenant, operation.kind, operation.id]);
    if (seen.has(key)) {
      throw new AiosError(
        'REQUEST_INVALID',
        `One commit names ${named(operation)} twice. Merge the operations into one.`,
      );
    }
    seen.add(key);
    const { ifRevision: expected } = operation;
    if (expected === undefined) continue;
    const actual = engine.get(operation)?.revision ?? 0;
    if (actual === expected) continue;
    const seenState = actual === 0 ? 'it does not exist' : `it is at revision ${actual}`;
    throw new StoreError(
      'STORE_CONFLICT',
      `${named(operation)} was expected ${expected === 0 ? 'not to exist' : `at revision ${expected}`}, but ${seenState}. Read it again and retry.`,
      { details: { key: keyOf(operation), expected, actual } },
    );
  }
}

/** The semantics every store shares: preconditions, revisions, watch. The engine only keeps rows. */
export function createDocumentStore(engine: StoreEngine): Store {
  const feed = createChangeFeed();
  let closed = false;

  function open(): StoreEngine {
    if (!closed) return engine;
    throw new AiosError('CLOSED', 'The store is closed: the control plane is shutting down.');
  }

  function commit(operations: readonly Operation[]): number {
    const target = open();
    const before = target.revision();
    if (operations.length === 0) return before;
    checkOperations(operations, target);
    const revision = before + 1;
    const now = Date.now();
    const puts: Row[] = [];
    const deletes: DocumentKey[] = [];
    const changes: Change[] = [];
    for (const operation of operations) {
      const key = keyOf(operation);
      const existing = target.get(key);
      if (operation.type === 'put') {
        const value = JSON.stringify(operation.value ?? null);
        const row = {
          ...key,
          value,
          revision,
          createdAtMs: existing?.createdAtMs ?? now,
          updatedAtMs: now,
        };
        puts.push(row);
        changes.push({ type: 'put', document: writtenDocument(row) });
      } else if (existing) {
        deletes.push(key);
        changes.push({ type: 'delete', key, revision });
      }
    }
    target.write(revision, puts, deletes);
    feed.publish(changes);
    return revision;
  }

  return {
    async get<T>(key: DocumentKey) {
      const row = open().get(key);
      return row && toDocument<T>(row);
    },
    async list<T>(tenant: string, kind: DocumentKey['kind']) {
      const documents = open()
        .list(tenant, kind)
        .map((row) => toDocument<T>(row));
      return documents.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    page: async (after) =>
      open()
        .page(after, pageLimits)
        .map((row) => ({ ...keyOf(row), text: row.value, createdAtMs: row.createdAtMs })),
    // Async functions, so that a failed precondition is a rejection and never a synchronous throw.
    commit: async (operations) => commit(operations),
    revision: async () => open().revision(),
    tenants: async () => [...open().tenants()].sort(),
    watch: (kinds, listener) => feed.subscribe(kinds, listener),
    async close() {
      if (closed) return;
      closed = true;
      feed.close();
      engine.close();
    },
  };
}
