import { basename } from 'node:path';
import type { Problem } from '../../../sdk/errors.ts';
import { bytesOf } from './frontiers.ts';
import type { TensorType } from './tensor-types.ts';

/** More than any machine holds. Sums over a graph's tensors stay exact integers below it. */
const maxTensorBytes = 2 ** 40;
const maxDimensions = 64;
const maxProblems = 20;

/**
 * Finds tensors that no machine could hold: a graph that declares them is spoiled or hostile, and whatever is reckoned with
 * their sizes is nonsense.
 *
 * @param types - by name of the tensor
 */
export function checkShapes(
  path: string,
  types: ReadonlyMap<string, TensorType>,
): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (name: string, message: string, expected: string, seen: string): void => {
    problems.push({ path: `${basename(path)}: ${name.slice(0, 120)}`, message, expected, seen });
  };
  for (const [name, { shape }] of types) {
    if (problems.length >= maxProblems) break;
    if (shape && shape.length > maxDimensions) {
      const expected = `at most ${maxDimensions}`;
      add(name, 'has too many dimensions.', expected, `${shape.length} dimensions`);
    } else if (!(bytesOf(types, name) <= maxTensorBytes)) {
      const expected = `at most ${maxTensorBytes} bytes, free dimensions taken as 128`;
      add(
        name,
        'has a shape that no memory holds.',
        expected,
        `[${shape?.join(', ').slice(0, 200)}]`,
      );
    }
  }
  return problems;
}
