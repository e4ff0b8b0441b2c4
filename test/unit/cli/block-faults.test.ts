import { expect, it } from 'vitest';
import { BlockFaults } from '../../../cli/block-faults.ts';
import type { BlockStatus } from '../../../sdk/client/api.ts';

const block = (state: string, reason: string | undefined, ...restarts: readonly number[]) =>
  ({
    spec: { id: 'stage' },
    state,
    ...(reason === undefined ? {} : { reason }),
    instances: restarts.map((count) => ({ restarts: count })),
  }) as unknown as BlockStatus;

it('tells a fault once, whatever the state and the instance, and ends after three of a kind', () => {
  const faults = new BlockFaults();
  const failed = (id: string) => `instance '${id}' ended with code 1 4.2s after its start`;

  expect(faults.look(block('starting', undefined, 0))).toBeUndefined();
  expect(faults.look(block('pending', failed('a')))).toMatchObject({ isNew: true });
  expect(faults.look(block('starting', failed('b'), 1))).toMatchObject({ isNew: false });
  expect(faults.look(block('pending', failed('b')))).toMatchObject({ isNew: false });
  expect(faults.look(block('starting', failed('c'), 2))).toMatchObject({ isNew: false });
  expect(() => faults.look(block('starting', failed('d'), 3))).toThrow(
    'failed the same way 3 times',
  );
});

it('goes on where each failure is another, or nothing runs at all', () => {
  const faults = new BlockFaults();

  for (let count = 0; count < 6; count += 1) {
    expect(faults.look(block('starting', `fault ${'x'.repeat(count)}`, count))?.isNew).toBe(true);
  }
  for (let count = 0; count < 6; count += 1) {
    expect(faults.look(block('pending', 'no node has room'))?.isNew).toBe(count === 0);
  }
});
