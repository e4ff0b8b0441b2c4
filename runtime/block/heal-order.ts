import type { Instance } from './instance.ts';

/** When the place of a failed instance is filled again. */
export interface HealOrder {
  /** Infinite: not before the block's document changes. */
  readonly waitMs: number;
  /** Why it is to be on another node than where it failed; as long as it is not, it keeps its place. */
  readonly elsewhere?: string;
  /** Shown as the block's reason. */
  readonly message?: string;
}

/** @param failures - in a row, this one included */
export type OnFailure = (
  tenant: string,
  instance: Pick<Instance, 'id' | 'document' | 'lastError'> | undefined,
  failures: number,
) => Promise<HealOrder | undefined>;
