import { expect, test } from 'vitest';
import { newInstanceId } from '../../../runtime/block/instance-document.ts';
import { resolveWorkload } from '../../../runtime/block/workload.ts';
import { instanceId } from '../../../sdk/ids.ts';
import { blockSpec } from '../../../sdk/spec/block.ts';
import { componentSpec } from '../../../sdk/spec/component.ts';

const component = componentSpec.parse({
  ...{ uri: 't.n:1-s', componentType: 't', name: 'n', version: '1', releaseTag: 's' },
  artifact: { hash: `sha256:${'a'.repeat(64)}` },
  settings: { a: 1, b: 1 },
  parameters: { p: 1 },
});
const block = (more: Record<string, unknown> = {}) =>
  blockSpec.parse({ id: 'b', componentUri: 't.n:1-s', minInstances: 1, maxInstances: 1, ...more });

test("a block's own settings lie over its component's", () => {
  const resolved = resolveWorkload(block({ settings: { b: 2 } }), component);

  expect(resolved?.workload).toMatchObject({ settings: { a: 1, b: 2 }, parameters: { p: 1 } });
});

test('the hash changes with what runs, and with nothing else', () => {
  const hash = resolveWorkload(block(), component)?.hash;

  expect(resolveWorkload(block({ tags: ['x'], maxInstances: 3 }), component)?.hash).toBe(hash);
  expect(resolveWorkload(block({ settings: { a: 2 } }), component)?.hash).not.toBe(hash);
  expect(resolveWorkload(block({ threads: 2 }), component)?.hash).not.toBe(hash);
  expect(resolveWorkload(block({ resources: { memoryBytes: 1 } }), component)?.hash).not.toBe(hash);
});

test('a component without code or stage has no workload', () => {
  const { artifact: _artifact, ...empty } = component;

  expect(resolveWorkload(block(), empty)).toBeUndefined();
});

test('instance ids are valid and differ, also for the longest block id', () => {
  const ids = Array.from({ length: 100 }, () => newInstanceId('b'.repeat(253)));

  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(instanceId(id)).toBe(id);
});
