import type { DocumentKey, DocumentKind } from './store.ts';

/** A document as an engine keeps it. `value` is JSON text. */
export interface Row extends DocumentKey {
  readonly value: string;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface PageLimits {
  readonly rows: number;
  /** Of all values together; one row may be longer. */
  readonly characters: number;
}

/** What a store needs of the place where rows lie. Synchronous: the store calls `write` once a commit. */
export interface StoreEngine {
  get(key: DocumentKey): Row | undefined;
  list(tenant: string, kind: DocumentKind): readonly Row[];
  /** The next rows in the engine's order: at most `maxRows`, and as few as one where they are long. */
  page(after: DocumentKey | undefined, limits: PageLimits): readonly Row[];
  tenants(): readonly string[];
  revision(): number;
  /** Applies everything or nothing; durable when it returns. */
  write(revision: number, puts: readonly Row[], deletes: readonly DocumentKey[]): void;
  close(): void;
}
