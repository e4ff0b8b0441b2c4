import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../../sdk/errors.ts';
import { isBusy, openDatabase } from './sqlite-database.ts';

export interface DirectoryLock {
  release(): void;
}

function holder(pidFile: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(pidFile, 'utf8')) as { pid?: unknown };
    return typeof pid === 'number' ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes this process the only one on a data directory. The lock is the operating system's, held through an open
 * transaction: it ends with the process however the process ends, so there are no stale locks to judge. The file beside
 * it only tells who holds it.
 *
 * @throws {StoreError} STORE_LOCKED - details: pid
 */
export function lockDirectory(databasePath: string): DirectoryLock {
  const pidFile = `${databasePath}.pid`;
  const database = openDatabase(`${databasePath}.lock`);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    const pid = holder(pidFile);
    const by = pid === undefined ? 'another process' : `process ${pid}`;
    throw new StoreError(
      'STORE_LOCKED',
      `the data directory ${dirname(databasePath)} is in use by ${by}. Use that one, end it first, or choose another --data-dir.`,
      { details: { path: databasePath, ...(pid === undefined ? {} : { pid }) } },
    );
  }
  writeFileSync(pidFile, `${JSON.stringify({ pid: process.pid, startedAtMs: Date.now() })}\n`);
  return {
    release() {
      // Not `close`: libsql keeps a closed connection's locks until its statements are collected.
      database.exec('ROLLBACK');
      database.close();
    },
  };
}
