import type { Problem } from '../../../sdk/errors.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import type { LlamaConfig } from '../config.ts';
import type { OnnxType } from '../onnx/model.ts';
import { type RequiredTensor, stageRanges, stageTensorsOf } from './weights.ts';

/** Types a weight may have in the checkpoint, and their names in ONNX. */
export const weightTypes = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
} as const satisfies Partial<Record<CheckpointTensor['dtype'], OnnxType>>;

export function isWeightType(dtype: string): dtype is keyof typeof weightTypes {
  return Object.hasOwn(weightTypes, dtype);
}

/** @returns a problem for every tensor that the model needs and the checkpoint does not hold as it should */
export function checkWeights(
  config: LlamaConfig,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Problem[] {
  const [whole] = stageRanges(config, [0]);
  return whole
    ? stageTensorsOf(config, whole).flatMap((required) =>
        checkWeight(required, tensors.get(required.name)),
      )
    : [];
}

function checkWeight(required: RequiredTensor, found: CheckpointTensor | undefined): Problem[] {
  const shape = `[${required.shape.join(', ')}]`;
  const expected = `${Object.keys(weightTypes).join(', ')} ${shape}`;
  if (!found) {
    return [{ path: required.name, message: 'this tensor is missing.', expected }];
  }
  const path = `${found.file.name}: ${required.name}`;
  const problems: Problem[] = [];
  if (found.shape.join() !== required.shape.join()) {
    problems.push({
      path,
      message: 'this tensor has another shape than config.json implies.',
      expected: shape,
      seen: `[${found.shape.join(', ')}]`,
    });
  }
  if (!isWeightType(found.dtype)) {
    problems.push({
      path,
      message: 'this tensor has a type that cannot be computed with.',
      expected,
      seen: found.dtype,
    });
  }
  return problems;
}
