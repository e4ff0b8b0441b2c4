import { DataPlaneError } from '../../sdk/errors.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import type { StepRequest } from './stage.ts';

/**
 * Holds a step against its stage and session, before anything is copied, computed or kept.
 *
 * @param heldTokens - the session's, all earlier steps done
 * @throws {DataPlaneError} FRAME_OUT_OF_ORDER, CONTEXT_LENGTH_EXCEEDED, TENSOR_MISMATCH
 */
export function assertStep(
  stage: StageSpec,
  { session, position, rows, input }: StepRequest,
  heldTokens: number,
): void {
  if (position !== heldTokens) {
    throw new DataPlaneError(
      'FRAME_OUT_OF_ORDER',
      `session '${session}': a step at position ${position} came where ${heldTokens} was due. Send steps in order, each once.`,
    );
  }
  const width = stage.hasEmbedding ? 1 : stage.hiddenSize;
  if (!Number.isSafeInteger(rows) || rows < 1 || input.byteLength !== rows * width * 4) {
    const expected = stage.hasEmbedding ? 'int32 [rows]' : `float32 [rows, ${width}]`;
    throw new DataPlaneError(
      'TENSOR_MISMATCH',
      `session '${session}': ${input.byteLength} bytes for ${rows} rows are not ${expected}, with at least one row.`,
    );
  }
  if (position + rows > stage.contextTokens) {
    throw new DataPlaneError(
      'CONTEXT_LENGTH_EXCEEDED',
      `session '${session}': ${position + rows} tokens are more than the context of ${stage.contextTokens}.`,
      { details: { contextTokens: stage.contextTokens, tokens: position + rows } },
    );
  }
}

/** @throws {DataPlaneError} TENSOR_MISMATCH - an id is outside the vocabulary */
export function assertTokens(stage: StageSpec, session: string, ids: Int32Array): void {
  const unknown = ids.find((id) => id < 0 || id >= stage.vocabularySize);
  if (unknown !== undefined) {
    throw new DataPlaneError(
      'TENSOR_MISMATCH',
      `session '${session}': token ${unknown} is not in the vocabulary of ${stage.vocabularySize}.`,
    );
  }
}
