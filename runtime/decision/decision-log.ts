import type { Decision, DecisionFilter, DecisionSummary } from '../../sdk/client/api.ts';
import type { Operation } from '../store/index.ts';

/**
 * A decision to write down. `kind` and `subject` are those of a placement of `blockId` where they are left out; id and
 * time are made. Put the `evaluation` objects that the policy host answered into `evaluations` as they are: what a policy
 * was asked hangs on them.
 */
export type NewDecision = Pick<
  Decision,
  'tenant' | 'reason' | 'outcome' | 'message' | 'evaluations'
> &
  Partial<Decision>;

/** How many decisions are kept. The newest placement of each block goes last. */
export interface Retention {
  /** Of each kind about one subject. @default 20 */
  readonly perSubject?: number;
  /** Of all tenants. @default 1000 */
  readonly inAll?: number;
  /** @default any age */
  readonly maxAgeMs?: number;
}

/** What a policy was asked, rebuilt from what was kept. */
export interface RecordedQuestion {
  readonly input: unknown;
  readonly state: Readonly<Record<string, unknown>>;
}

/** Why everything is as it is: the newest decisions, in the store, each with all that is needed to make it again. */
export interface DecisionLog {
  /**
   * Writes a decision down soon, together with others: within 5 ms, or 25 where the disk is slow or there are many, and a
   * crash loses no more than that. Never throws and never waits; while the store does not take them, the oldest of too many are dropped.
   *
   * @returns it, complete
   */
  record(decision: NewDecision): Decision;
  /** Commits it at once with other operations, all or nothing. @throws {StoreError} as `Store.commit` */
  recordNow(decision: NewDecision, operations?: readonly Operation[]): Promise<Decision>;
  /** Whether a decision that is kept placed the instance for this tenant. */
  placed(tenant: string, instanceId: string): boolean;
  /** Newest first. @param subject - `block/ocr`, `instance/ocr-1`, `cluster/home` */
  of(
    tenant: string,
    subject: string,
    filter?: Pick<DecisionFilter, 'kind' | 'limit'>,
  ): Promise<readonly Decision[]>;
  /** Every decision about a block, whatever kind. Newest first. */
  ofBlock(tenant: string, blockId: string): Promise<readonly Decision[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, id: string): Promise<Decision>;
  /** Newest first. */
  list(tenant: string, filter?: DecisionFilter): Promise<readonly DecisionSummary[]>;
  /**
   * What the evaluation of this index was asked, checked against its digest.
   * @throws {AiosError} NOT_FOUND - no such decision or evaluation, or nothing was kept of it; STORE_CORRUPT
   */
  question(tenant: string, id: string, evaluation: number): Promise<RecordedQuestion>;
  /** What the platform decided by, where it was kept: `recordContext`. @throws as `question` */
  context(tenant: string, id: string): Promise<unknown>;
  /** Waits until everything is stored. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
