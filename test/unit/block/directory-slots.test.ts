import { expect, test } from 'vitest';
import type { BlockReconciler } from '../../../runtime/block/block-reconciler.ts';
import {
  createInstanceDirectory,
  type DirectoryOptions,
} from '../../../runtime/block/instance-directory.ts';

const saying = (maxSessions: number | undefined) =>
  maxSessions === undefined ? {} : { selfStatus: { counters: { maxSessions } } };
const slotsOf = (...instances: readonly (number | undefined)[]) => {
  const routable = instances.map(saying);
  const block = () => ({ routable }) as unknown as BlockReconciler;
  return createInstanceDirectory({ block } as unknown as DirectoryOptions).slots?.('t', 'b');
};

test('a block has the slots of its instances that said how many they have', () => {
  expect(slotsOf(4, 8)).toBe(12);
  expect(slotsOf(4, undefined, 8)).toBe(12);
  expect(slotsOf(undefined, 0)).toBeUndefined();
  expect(slotsOf()).toBeUndefined();
});
