import { AiosError } from '../../sdk/errors.ts';
import type { BlockReconciler } from './block-reconciler.ts';

/** Why a block has no instance and gets none as things are, for people; undefined: one runs, ends, starts, or may yet. */
export function vainReason(
  block: Pick<BlockReconciler, 'instances' | 'reason' | 'waits' | 'waiting'>,
): string | undefined {
  const isVain = block.instances.length === 0 && block.waits && block.waiting.isVain;
  return isVain ? block.reason : undefined;
}

/** Not retryable: it is the clusters or the documents that have to change first. */
export const unplaced = (blockId: string, reason: string, decisionId?: string): AiosError =>
  new AiosError(
    'SHARD_UNAVAILABLE',
    `block '${blockId}' runs nowhere, as there is no place for it: ${reason.replace(/\.$/, '')}. See: aios explain block ${blockId}`,
    {
      details: { blockId, ...(decisionId === undefined ? {} : { decisionId }) },
      retryable: false,
    },
  );
