import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contentOf,
  deepFreeze,
  digestOf,
  type Part,
  rebuild,
} from '../../../runtime/policy/index.ts';
import { clusterView, gibibyte, nodesOf, testPlacement } from '../../support/clusters.ts';

/** Everything that a value is made of, as the log would keep it. */
function record(value: unknown) {
  const parts = new Map<string, string>();
  const add = ({ key, value: inner }: Part): void => {
    if (parts.has(key)) return;
    const content = contentOf(inner);
    parts.set(key, content.text);
    content.parts.forEach(add);
  };
  const { text, parts: first } = contentOf(value);
  first.forEach(add);
  return { text, parts };
}

async function roundTrip(value: unknown): Promise<unknown> {
  const { text, parts } = record(value);
  return rebuild(text, async (key) => parts.get(key), digestOf(value));
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null');
const long = (value: unknown) =>
  Array.from({ length: 20 }, (_, at) => ({ at, value, text: 'x'.repeat(40) }));

describe('what was recorded', () => {
  it('is rebuilt as it was, for any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 6 }), async (value) => {
        const frozen = deepFreeze(structuredClone(value));
        expect(JSON.stringify(await roundTrip(frozen))).toBe(JSON.stringify(plain(value)));
      }),
      { numRuns: 300 },
    );
  });

  it('is rebuilt for long lists and long texts around any JSON', async () => {
    const list = fc.array(fc.jsonValue({ maxDepth: 2 }), { minLength: 60, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(list, fc.string(), async (value, key) => {
        const whole = deepFreeze(structuredClone({ [key]: [value, long(value)], again: value }));
        expect(JSON.stringify(await roundTrip(whole))).toBe(JSON.stringify(plain(whole)));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['a text that is a digest', { a: `sha256:${'0'.repeat(64)}` }],
    ['an object that looks like a reference', { $: 'a'.repeat(43) }],
    ['one that looks like runs', [{ $: [[1], [2]] }, { $$: { $: 1, $$$: 2 } }]],
    ['a reference to itself by a guess', long({ $: createHash('sha256').digest('base64url') })],
    ['a prototype', JSON.parse('{"__proto__": {"a": 1}, "constructor": 1}')],
    ['a list of lists', Array.from({ length: 130 }, (_, at) => [at])],
    ['an empty list of runs', { $: [] }],
    ['keys that are numbers, and their order', JSON.parse('{"b": 1, "2": 2, "a": 3, "1": 4}')],
    ['text alone', 'sha256:'],
    ['nothing', null],
  ])('takes nothing of the value for a reference: %s', async (_, value) => {
    for (const given of [value, long(value), { value: long([value]) }]) {
      const frozen = deepFreeze(given);
      expect(JSON.stringify(await roundTrip(frozen))).toBe(JSON.stringify(plain(given)));
    }
  });

  it('of a snapshot shares what is in it twice', async () => {
    const sizes = Array.from({ length: 200 }, () => 8 * gibibyte);
    const view = clusterView({ id: 'c', nodes: nodesOf(...sizes) });
    const cluster = testPlacement([view]).snapshot('default', view);
    const input = deepFreeze({ action: 'dry_run', cluster, nodes: cluster.nodes });

    const { parts } = record(input);
    const rebuilt = (await roundTrip(input)) as typeof input;

    expect(rebuilt).toEqual(plain(input));
    // A node is short, so it stands in its run; 200 nodes are 4 runs and one list in a cluster.
    expect(parts.size).toBeLessThan(220);
    expect([...parts.values()].join('').length).toBeLessThan(JSON.stringify(cluster).length * 1.2);
  });

  it('keeps the order of keys, which a policy can see, under a digest that does not depend on it', async () => {
    const value = deepFreeze({ z: 1, a: { y: long(1), b: 2 }, m: long({ d: 1, c: 2 }) });

    expect(JSON.stringify(await roundTrip(value))).toBe(JSON.stringify(value));
    expect(digestOf({ b: long({ d: 1, c: 2 }), a: 1 })).toBe(
      digestOf({ a: 1, b: long({ c: 2, d: 1 }) }),
    );
  });

  it('is refused when a part is gone or was changed, or the whole has another digest', async () => {
    const value = deepFreeze({ list: long('a'), other: long('b') });
    const { text, parts } = record(value);
    const [key = '', first = ''] = [...parts][0] ?? [];
    const reading = (changed: ReadonlyMap<string, string>) =>
      rebuild(text, async (wanted) => changed.get(wanted), digestOf(value));

    const gone = new Map(parts);
    gone.delete(key);
    const changed = new Map(parts).set(key, first.replace('x', 'y'));
    const broken = new Map(parts).set(key, first.slice(1));

    await expect(reading(gone)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    await expect(reading(changed)).rejects.toThrow(/has another digest/);
    await expect(reading(broken)).rejects.toThrow(/is not JSON/);
    await expect(
      rebuild(text, async (wanted) => parts.get(wanted), digestOf({})),
    ).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  it('writes little for one changed node of a thousand', () => {
    const nodes = (changed: number) =>
      deepFreeze(
        Array.from({ length: 1000 }, (_, at) => ({
          id: `n${at}`,
          changed: at === changed,
          gpus: long(at),
        })),
      );
    const before = nodes(-1);
    const after = deepFreeze(before.map((node, at) => (at === 500 ? nodes(500)[500] : node)));
    const one = record(deepFreeze({ nodes: before })).parts;
    const two = record(deepFreeze({ nodes: after })).parts;

    const fresh = [...two].filter(([key]) => !one.has(key));

    // The run that the node stands in, and the list of runs.
    expect(fresh).toHaveLength(2);
  });
});
