import { AiosError } from '../../sdk/errors.ts';
import type { GraphTensor } from '../../sdk/spec/component.ts';
import type { Tensor } from '../../sdk/tensor.ts';

/** A plan may say so of a tensor whose type it could not find out. */
const unknownType = 'unknown';

/**
 * What a graph is given, against what it takes: found before the packet waits for its turn, all of it at once.
 *
 * @throws {AiosError} TENSOR_MISMATCH with every problem
 */
export function checkGraphInputs(
  declared: readonly GraphTensor[],
  given: Readonly<Record<string, Pick<Tensor, 'shape'> & { readonly dtype: string }>>,
): void {
  const problems = declared.flatMap(({ name, dtype, shape }) => {
    const tensor = given[name];
    if (!tensor) return [];
    const typeFits = dtype === unknownType || dtype === tensor.dtype;
    const shapeFits =
      !shape ||
      (shape.length === tensor.shape.length &&
        shape.every((size, axis) => typeof size !== 'number' || size === tensor.shape[axis]));
    if (typeFits && shapeFits) return [];
    const wanted = `${dtype}${shape ? ` [${shape.map((size) => size ?? 'any').join(', ')}]` : ''}`;
    const message = `expected ${wanted}, got ${tensor.dtype} [${tensor.shape.join(', ')}]`;
    return [{ path: `$.tensors.${name}`, message }];
  });
  if (problems.length === 0) return;
  throw new AiosError(
    'TENSOR_MISMATCH',
    `tensors that the graph does not take: ${problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`,
    { problems },
  );
}
