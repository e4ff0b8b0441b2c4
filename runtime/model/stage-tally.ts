import type { StageCounters } from './stage.ts';
import type { BatchEnd } from './stage-messages.ts';

/** Counts what the worker reports; `StageCounters` is its reading. */
export interface StageTally {
  /** @param rows - of its steps together, as far as they are still known */
  batchEnded(batch: BatchEnd, rows: number): void;
  shared(tokens: number): void;
  read(kvTokens: number): StageCounters;
}

export function createStageTally(): StageTally {
  const count = {
    ...{ decodeSteps: 0, decodeBatches: 0, maxBatchSteps: 0, lastBatchSteps: 0 },
    ...{ prefillChunks: 0, prefillTokens: 0, sharedTokens: 0 },
    ...{ kvMoves: 0, outputCopies: 0, computeNs: 0, decodeNs: 0 },
  };
  return {
    batchEnded({ kind, ends, computeNs, kvMoves, outputCopies }, rows) {
      count.computeNs += computeNs;
      count.outputCopies += outputCopies;
      count.kvMoves = kvMoves;
      if (kind === 'decode') {
        count.decodeBatches += 1;
        count.decodeNs += computeNs;
        count.decodeSteps += ends.length;
        count.lastBatchSteps = ends.length;
        count.maxBatchSteps = Math.max(count.maxBatchSteps, ends.length);
      } else {
        count.prefillChunks += 1;
        count.prefillTokens += rows;
      }
    },
    shared(tokens) {
      count.sharedTokens += tokens;
    },
    read: (kvTokens) => ({ ...count, kvTokens }),
  };
}
