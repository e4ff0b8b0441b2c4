import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../../sdk/errors.ts';
import { lockDirectory } from './directory-lock.ts';
import { createDocumentStore } from './document-store.ts';
import type { Row, StoreEngine } from './engine.ts';
import { openDatabase, type SqliteDatabase, storeError } from './sqlite-database.ts';
import type { DocumentKind, Store } from './store.ts';

const schemaVersion = 1;

const schema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE document (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL,
    revision INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, id)
  ) WITHOUT ROWID;
  INSERT INTO meta VALUES ('schema-version', ${schemaVersion}), ('revision', 0);
`;

function prepareDirectory(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!statSync(folder).isDirectory()) throw new Error('not a directory');
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(
      'STORE_UNAVAILABLE',
      `The data directory ${folder} cannot be used (${message}). Name a directory you may write to.`,
      { details: { path: folder }, retryable: false, cause },
    );
  }
}

/** Documents hold secrets of instances. SQLite gives its log and its shared memory the mode of the database. */
function makePrivate(path: string): void {
  for (const file of [path, `${path}.lock`]) {
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
  }
  for (const file of [`${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
}

function transact(database: SqliteDatabase, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    try {
      database.exec('ROLLBACK');
    } catch {
      // SQLite has already rolled back (full disk, I/O error); the first fault is the one to report.
    }
    throw error;
  }
}

function readMeta(database: SqliteDatabase, name: string): number {
  return Number(database.all('SELECT value FROM meta WHERE name = ?', name)[0]?.value);
}

/** Checks what is there before anything is written to it. */
function prepareSchema(database: SqliteDatabase, path: string): void {
  const [check] = database.all('PRAGMA quick_check(1)');
  if (check?.quick_check !== 'ok') {
    throw storeError(Object.assign(new Error(String(check?.quick_check)), { rawCode: 11 }), path);
  }
  // FULL: a commit that was answered survives a power cut too. One disk write (0.6 ms measured) a commit, none a token.
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000;',
  );
  const tables = database.all("SELECT name FROM sqlite_master WHERE type = 'table'");
  if (tables.length === 0) {
    transact(database, () => database.exec(schema));
    return;
  }
  const found = tables.some(({ name }) => name === 'meta')
    ? readMeta(database, 'schema-version')
    : Number.NaN;
  if (found === schemaVersion) return;
  throw new StoreError(
    'STORE_UNAVAILABLE',
    Number.isNaN(found)
      ? `${path} is a database of something else. Choose another data directory.`
      : `${path} has schema version ${found}; this aios reads version ${schemaVersion}. Use the aios version that wrote it, or another data directory.`,
    { details: { path, expected: schemaVersion }, retryable: false },
  );
}

function toRow(columns: Record<string, unknown>): Row {
  return {
    tenant: String(columns.tenant),
    kind: columns.kind as DocumentKind,
    id: String(columns.id),
    value: String(columns.value),
    revision: Number(columns.revision),
    createdAtMs: Number(columns.created_at_ms),
    updatedAtMs: Number(columns.updated_at_ms),
  };
}

function createSqliteEngine(database: SqliteDatabase, release: () => void): StoreEngine {
  let revision = readMeta(database, 'revision');
  return {
    get({ tenant, kind, id }) {
      const [columns] = database.all(
        'SELECT * FROM document WHERE tenant = ? AND kind = ? AND id = ?',
        tenant,
        kind,
        id,
      );
      return columns && toRow(columns);
    },
    list: (tenant, kind) =>
      database.all('SELECT * FROM document WHERE tenant = ? AND kind = ?', tenant, kind).map(toRow),
    page(after, limits) {
      const from = after ? [after.tenant, after.kind, after.id] : ['', '', ''];
      const found = database.all(
        'SELECT tenant, kind, id, length(value) AS characters FROM document WHERE (tenant, kind, id) > (?, ?, ?) ORDER BY tenant, kind, id LIMIT ?',
        ...[...from, limits.rows],
      );
      let characters = 0;
      const fitting = found.findIndex((columns, index) => {
        characters += Number(columns.characters);
        return index > 0 && characters > limits.characters;
      });
      return database
        .all(
          'SELECT * FROM document WHERE (tenant, kind, id) > (?, ?, ?) ORDER BY tenant, kind, id LIMIT ?',
          ...[...from, fitting < 0 ? limits.rows : fitting],
        )
        .map(toRow);
    },
    tenants: () =>
      database.all('SELECT DISTINCT tenant FROM document').map(({ tenant }) => String(tenant)),
    revision: () => revision,
    write(next, puts, deletes) {
      transact(database, () => {
        for (const row of puts) {
          database.run(
            'INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?)',
            row.tenant,
            row.kind,
            row.id,
            row.value,
            row.revision,
            row.createdAtMs,
            row.updatedAtMs,
          );
        }
        for (const { tenant, kind, id } of deletes) {
          database.run(
            'DELETE FROM document WHERE tenant = ? AND kind = ? AND id = ?',
            tenant,
            kind,
            id,
          );
        }
        database.run("UPDATE meta SET value = ? WHERE name = 'revision'", next);
      });
      revision = next;
    },
    close() {
      try {
        // Leaves one file to back up. Others may be reading it: then the log stays, and nothing is lost.
        database.all('PRAGMA wal_checkpoint(TRUNCATE)');
      } finally {
        database.close();
        release();
      }
    },
  };
}

/**
 * Opens (or creates) the embedded store and makes this process its only user.
 *
 * @param path - of the database file; its folder is the data directory, created with mode 0700 when missing
 * @throws {StoreError} STORE_LOCKED - another process uses it; STORE_CORRUPT - it is damaged, and was not touched;
 * STORE_UNAVAILABLE - not a directory, not writable, or written by another version
 */
export function createSqliteStore(path: string): Store {
  prepareDirectory(path);
  try {
    makePrivate(path);
  } catch (error) {
    throw storeError(error, path);
  }
  const lock = lockDirectory(path);
  try {
    const database = openDatabase(path);
    try {
      prepareSchema(database, path);
      return createDocumentStore(createSqliteEngine(database, () => lock.release()));
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}
