import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { type DocumentKind, readDocument } from '../../../sdk/spec/index.ts';

const folder = new URL('../../fixtures/specs/invalid/', import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));

function refusal(kind: DocumentKind, document: unknown): AiosError {
  try {
    readDocument(kind, document);
  } catch (error) {
    if (AiosError.isInstance(error)) return error;
    throw error;
  }
  throw new Error(`the ${kind} document was accepted`);
}

describe('an invalid document is refused with one clear problem', () => {
  it.each(names)('%s', (name) => {
    const read = (suffix: string) => readFileSync(new URL(`${name}.${suffix}`, folder), 'utf8');
    const [code, path, nearest] = read('txt').trim().split('\n');
    const kind = name.slice(name.lastIndexOf('.') + 1) as DocumentKind;

    const error = refusal(kind, JSON.parse(read('json')));

    expect(error.code).toBe(code);
    expect(error.problems.map((problem) => problem.path)).toEqual([path]);
    expect(error.problems[0]?.nearest).toBe(nearest?.replace('nearest ', ''));
    expect(error.message).toContain(path);
  });
});

describe('all problems of a document are reported at once', () => {
  it('from every rule that it breaks', () => {
    const values = {
      blockId: 'Not an id',
      minInstances: '1',
      policyRulesSpec: [{ values: { policyRuleURI: 'p:v1' } }, { name: 'autoscalr' }],
      tagz: [],
      parameters: 7,
    };

    const error = refusal('block', { head: {}, body: { spec: { values } } });

    const base = '$.body.spec.values';
    expect(error.problems.map(({ path }) => path).sort()).toEqual(
      [
        'blockComponentURI',
        'blockId',
        'maxInstances',
        'minInstances',
        'parameters',
        'policyRulesSpec[0].values.name',
        'policyRulesSpec[1].name',
        'tagz',
      ].map((key) => `${base}.${key}`),
    );
    expect(error.problems.find(({ path }) => path.endsWith('tagz'))).toMatchObject({
      seen: '[]',
      nearest: 'tags',
      expected: expect.stringContaining('blockComponentURI'),
    });
  });

  it('but the list ends somewhere for a hostile one', () => {
    const nodes = Array.from({ length: 20_000 }, () => 7);

    const error = refusal('vdag', { name: 'g', version: '1', nodes });

    expect(error.problems.length).toBeLessThanOrEqual(2000);
  });
});

describe('bounds hold before anything looks inside', () => {
  it('depth', () => {
    let deep: unknown = {};
    for (let level = 0; level < 100_000; level += 1) deep = [deep];

    expect(refusal('cluster', { id: 'c', config: deep }).code).toBe('SPEC_INVALID');
  });

  it('the number of values', () => {
    expect(refusal('cluster', { id: 'c', tags: Array(200_001).fill('') }).problems).toHaveLength(1);
  });

  it('the length of a text', () => {
    expect(refusal('cluster', { id: 'c', status: 'x'.repeat(2 ** 20 + 1) }).problems).toMatchObject(
      [{ path: '$.status' }],
    );
  });

  it('a value that contains itself', () => {
    const config: Record<string, unknown> = {};
    config.self = config;

    expect(refusal('cluster', { id: 'c', config }).code).toBe('SPEC_INVALID');
  });

  it.each([
    ['a function', () => 1],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a number that is none', Number.NaN],
    ['a bigint', 1n],
  ])('values that are not JSON: %s', (_, value) => {
    expect(refusal('cluster', { id: 'c', config: { value } }).problems).toMatchObject([
      { path: '$.config.value' },
    ]);
  });

  it.each([null, undefined, 'text', 7, []])('a document that is no object: %j', (document) => {
    expect(refusal('block', document).code).toBe('SPEC_INVALID');
  });
});
