import type { Problem } from '../../../sdk/errors.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import type { OnnxType } from '../onnx/model.ts';
import type { DecoderConfig } from './config.ts';
import { stageRanges, stageTensorsOf } from './stage-range.ts';
import type { RequiredTensor } from './weights.ts';

/** Types a weight may have in the checkpoint, and their names in ONNX. */
export const weightTypes = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
} as const satisfies Partial<Record<CheckpointTensor['dtype'], OnnxType>>;

export function isWeightType(dtype: string): dtype is keyof typeof weightTypes {
  return Object.hasOwn(weightTypes, dtype);
}

/**
 * @returns a problem for every tensor that the model needs and the checkpoint does not hold as it should, and for those it
 *   holds that would change the answer if they were computed with
 */
export function checkWeights(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Problem[] {
  const required = stageRanges(config, [0]).flatMap((whole) => stageTensorsOf(config, whole));
  return [
    ...required.flatMap((tensor) => checkWeight(tensor, tensors.get(tensor.name))),
    ...checkUnused(config, tensors, new Set(required.map(({ name }) => name))),
  ];
}

/** Others, such as tables of rotary angles, are left in many checkpoints and mean nothing. */
const meansSomething = /^model\.layers\.(\d{1,4})\..*(\.bias|norm\.weight)$/;

function checkUnused(
  { architecture, layers }: DecoderConfig,
  tensors: ReadonlyMap<string, CheckpointTensor>,
  required: ReadonlySet<string>,
): Problem[] {
  return [...tensors.values()].flatMap(({ name, file }) => {
    const layer = meansSomething.exec(name)?.[1];
    if (layer === undefined || Number(layer) >= layers.length || required.has(name)) return [];
    return {
      path: `${file.name}: ${name}`,
      message: `this tensor has no place in ${architecture} as config.json describes it.`,
      expected: 'a config.json that names the architecture of these weights, and says so of biases',
    };
  });
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
