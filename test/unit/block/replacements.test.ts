import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Failures } from '../../../runtime/block/failures.ts';
import type { Instance } from '../../../runtime/block/instance.ts';
import type { InstanceDocument } from '../../../runtime/block/instance-document.ts';
import { Replacements } from '../../../runtime/block/replacements.ts';

type One = Pick<Instance, 'document' | 'state' | 'lastError' | 'readyForMs'>;

const instance = (id: string, state: One['state'] = 'starting'): One => ({
  document: { id, clusterId: 'home', nodeId: 'n1', restarts: 0 } as InstanceDocument,
  ...{ state, lastError: `instance '${id}' was killed`, readyForMs: 0 },
});

test('who took whose place is told once, when it is ready', () => {
  const replacements = new Replacements();
  let state: One['state'] = 'starting';
  const find = () => instance('new', state);
  replacements.lost(instance('old', 'failed'));
  replacements.filled('old', 'new');

  expect(replacements.ready(find)).toEqual([]);
  state = 'ready';
  const told = replacements.ready(find);
  expect(told).toMatchObject([{ instanceId: 'new' }]);
  expect(told[0]?.text).toMatch(
    /^instance 'new' is ready on home\/n1 in place of 'old', .* after that failed: instance 'old' was killed$/,
  );
  expect(replacements.ready(find)).toEqual([]);
});

test('one that fails before it is ready leaves the first loss to whoever comes after it', () => {
  const replacements = new Replacements();
  replacements.lost(instance('first', 'failed'));
  replacements.filled('first', 'second');
  replacements.lost(instance('second', 'failed'));
  replacements.filled('second', 'third');

  const told = replacements.ready((id) => instance(id, 'ready'));

  expect(told).toMatchObject([{ instanceId: 'third' }]);
  expect(told[0]?.text).toContain("in place of 'first'");
});

test('one that went away unready, or whose place nobody fills, is told of never', () => {
  const replacements = new Replacements();
  for (const id of ['a', 'b']) replacements.lost(instance(id, 'failed'));
  replacements.filled('a', 'new');
  replacements.filled('b', undefined);

  expect(replacements.ready(() => undefined)).toEqual([]);
  expect(replacements.ready((id) => instance(id, 'ready'))).toEqual([]);
});

test('places are filled in the order in which they were lost, however many come at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 8 }),
      async (lost, batches) => {
        const failures = new Failures();
        const old = Array.from({ length: lost }, (_, at) => instance(`old-${at}`, 'failed'));
        await failures.add(old, () => undefined);
        let made = 0;
        for (const size of batches) {
          failures.filled(Array.from({ length: size }, () => ({ id: `new-${made++}` })));
        }

        const told = failures.replacements.ready((id) => instance(id, 'ready'));

        const served = Math.min(lost, made);
        expect(told.map(({ instanceId }) => instanceId)).toEqual(
          Array.from({ length: served }, (_, at) => `new-${at}`),
        );
        for (const [at, { text }] of told.entries()) expect(text).toContain(`of 'old-${at}',`);
        expect(failures.vacated).toHaveLength(lost - served);
      },
    ),
    { numRuns: 50 },
  );
});
