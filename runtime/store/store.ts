/** What kinds of document there are. Artifacts are rows that point at files in the data directory. */
export const documentKinds = [
  'component',
  'block',
  /** The block of that id is to be removed; kept until its instances are gone. */
  'block-deletion',
  'vdag',
  'policy',
  'cluster',
  /** Nodes of the cluster of that id that take no new instances. */
  'cordon',
  /** One a tenant: default policies, pre-checks, templates. */
  'network',
  /** How many instances were asked for of the block of that id. */
  'block-scale',
  'instance',
  'decision',
  /** Long parts of what policies were asked, by content, shared by decisions. */
  'decision-part',
  /** A policy that is tried beside the live one, by hook. */
  'shadow',
  'artifact',
  'policy-state',
  'policy-version',
  /** A policy that runs once, and what came of it. */
  'policy-job',
  /** What is noted of a part of a model, by the hash of its stage. */
  'layer',
  /** A model that is being split, and what came of it. */
  'split-task',
  'reservation',
] as const;
export type DocumentKind = (typeof documentKinds)[number];

export interface DocumentKey {
  readonly tenant: string;
  readonly kind: DocumentKind;
  readonly id: string;
}

export interface StoredDocument<T = unknown> extends DocumentKey {
  readonly value: T;
  /** The store-wide revision that last wrote it; grows with every commit. */
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A document as it is written down. */
export interface StoredText extends DocumentKey {
  /** JSON. */
  readonly text: string;
  readonly createdAtMs: number;
}

/** `ifRevision: 0` means «must not exist yet»; absent means unconditional. */
export type Operation =
  | (DocumentKey & { readonly type: 'put'; readonly value: unknown; readonly ifRevision?: number })
  | (DocumentKey & { readonly type: 'delete'; readonly ifRevision?: number });

export type Change =
  | { readonly type: 'put'; readonly document: StoredDocument }
  | { readonly type: 'delete'; readonly key: DocumentKey; readonly revision: number };

/**
 * Documents with revisions, optimistic concurrency and watch. All values are JSON. Every method may be called at any
 * time until `close`; none blocks for longer than a disk write.
 */
export interface Store {
  get<T>(key: DocumentKey): Promise<StoredDocument<T> | undefined>;
  /** In id order. */
  list<T>(tenant: string, kind: DocumentKind): Promise<readonly StoredDocument<T>[]>;
  /**
   * Documents of all tenants and kinds, a few mebibytes at a time, as they are written down; in an order of the store's own.
   * @param after - the last of the page before; absent: from the first
   * @returns none: that was all
   */
  page(after?: DocumentKey): Promise<readonly StoredText[]>;
  /**
   * All or nothing, durable once it resolves.
   * @returns the new store-wide revision
   * @throws {StoreError} STORE_CONFLICT - a precondition does not hold; details: key, expected, actual;
   * REQUEST_INVALID - two operations name one document
   */
  commit(operations: readonly Operation[]): Promise<number>;
  /** The newest revision. */
  revision(): Promise<number>;
  /** Every tenant that ever had a document, in order. */
  tenants(): Promise<readonly string[]>;
  /** Calls back after each commit, in order, until the returned function is called. Never throws into the committer. */
  watch(kinds: readonly DocumentKind[], listener: (change: Change) => void): () => void;
  close(): Promise<void>;
}
