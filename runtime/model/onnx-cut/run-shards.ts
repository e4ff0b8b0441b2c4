import { AiosError } from '../../../sdk/errors.ts';
import type { OnnxArray, OnnxArrays, OnnxShard } from './onnx-shard.ts';

/** A loaded part of a graph, and what goes by it. */
export interface ShardStep {
  readonly shard: Pick<OnnxShard, 'run'>;
  /** Tensors that its graph reads. */
  readonly inputs: readonly string[];
  /** Tensors that its graph gives. */
  readonly outputs: readonly string[];
  /** Tensors that come in and go out unchanged. */
  readonly passes: readonly string[];
}

/** What came for a part, sorted. */
export interface ShardInputs {
  /** What its graph reads. */
  readonly taken: OnnxArrays;
  /** What goes by it. */
  readonly passed: OnnxArrays;
}

/** @throws {AiosError} TENSOR_MISMATCH - a tensor is missing */
export function takeInputs(
  { inputs, passes }: Omit<ShardStep, 'shard'>,
  given: OnnxArrays,
): ShardInputs {
  const missing = [...new Set([...inputs, ...passes])].filter(
    (name) => !Object.hasOwn(given, name),
  );
  if (missing.length > 0) {
    throw new AiosError(
      'TENSOR_MISMATCH',
      `the shard needs the tensors ${missing.join(', ')}, which did not come. Got: ${Object.keys(given).join(', ') || 'none'}.`,
    );
  }
  const take = (names: readonly string[]) =>
    Object.fromEntries(
      names.flatMap((name): [string, OnnxArray][] => {
        const array = given[name];
        return array ? [[name, array]] : [];
      }),
    );
  return { taken: take(inputs), passed: take(passes) };
}

/** What crosses the cut after a part: what goes by it, and what it made. */
export function joinOutputs(
  { outputs }: Pick<ShardStep, 'outputs'>,
  passed: OnnxArrays,
  made: OnnxArrays,
): OnnxArrays {
  const joined = { ...passed };
  for (const name of outputs) {
    const array = made[name];
    if (array) joined[name] = array;
  }
  return joined;
}

/**
 * One part: takes what crossed the cut before it, gives what crosses the cut after it.
 *
 * @throws {AiosError} TENSOR_MISMATCH - a tensor is missing, or has another type or shape than the graph's
 */
export async function runShard(step: ShardStep, given: OnnxArrays): Promise<OnnxArrays> {
  const { taken, passed } = takeInputs(step, given);
  return joinOutputs(step, passed, await step.shard.run(taken));
}

/** All parts in their order, in this process. @returns the outputs of the whole graph */
export async function runShards(
  steps: readonly ShardStep[],
  inputs: OnnxArrays,
): Promise<OnnxArrays> {
  let carried = inputs;
  for (const step of steps) carried = await runShard(step, carried);
  return carried;
}
