import Database from 'libsql';
import { AiosError, StoreError } from '../../sdk/errors.ts';

/** The part of libsql we use. Rows come with an extra `_metadata` property: pick columns by name. */
export interface SqliteDatabase {
  exec(sql: string): void;
  all(sql: string, ...parameters: readonly (string | number)[]): Record<string, unknown>[];
  run(sql: string, ...parameters: readonly (string | number)[]): void;
  close(): void;
}

const rawCodes = {
  busy: 5,
  locked: 6,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADatabase: 26,
};

/** Extended codes carry the primary one in their low byte. */
function primaryCode(error: unknown): number | undefined {
  const raw = (error as { rawCode?: unknown } | null)?.rawCode;
  return typeof raw === 'number' ? raw & 0xff : undefined;
}

export const isBusy = (error: unknown): boolean => {
  const code = primaryCode(error instanceof StoreError ? error.cause : error);
  return code === rawCodes.busy || code === rawCodes.locked;
};

/** Says what a fault of SQLite means for whoever operates the data directory. */
export function storeError(error: unknown, path: string): AiosError {
  if (AiosError.isInstance(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = primaryCode(error);
  if (code === rawCodes.corrupt || code === rawCodes.notADatabase) {
    return new StoreError(
      'STORE_CORRUPT',
      `${path} is damaged (${message}). Nothing was changed. Restore it from a backup, or move the data directory away and start with an empty one.`,
      { details: { path }, cause: error },
    );
  }
  const advice =
    code === rawCodes.full ? 'Free some disk space.' : 'Check that the directory is writable.';
  return new StoreError('STORE_UNAVAILABLE', `${path} cannot be used: ${message}. ${advice}`, {
    details: { path },
    cause: error,
  });
}

/** The one place that knows libsql. @throws {StoreError} STORE_UNAVAILABLE, STORE_CORRUPT */
export function openDatabase(path: string): SqliteDatabase {
  const statements = new Map<string, Database.Statement>();
  function guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(error, path);
    }
  }
  const database = guarded(() => new Database(path));
  function prepared(sql: string): Database.Statement {
    const existing = statements.get(sql);
    if (existing) return existing;
    const statement = database.prepare(sql);
    statements.set(sql, statement);
    return statement;
  }
  return {
    exec: (sql) => guarded(() => void database.exec(sql)),
    // Never `get`: it leaves the statement, and so a read transaction, open.
    all: (sql, ...parameters) =>
      guarded(() => prepared(sql).all(...parameters) as Record<string, unknown>[]),
    run: (sql, ...parameters) => guarded(() => void prepared(sql).run(...parameters)),
    close: () => void database.close(),
  };
}
