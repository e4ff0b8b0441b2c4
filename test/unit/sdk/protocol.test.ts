import { describe, expect, it } from 'vitest';
import { compileProtocol, protocolFromFieldSchema } from '../../../sdk/protocol.ts';

describe('a protocol', () => {
  const roi = protocolFromFieldSchema({
    label: { type: 'string', length: 3, pattern: '^a', required: true },
    score: { type: 'number', min: 0, max: 1 },
    kind: { choices: ['x', 'y'] },
    anything: { type: 'any' },
    boxes: {
      type: 'array',
      max_length: 2,
      items: { type: 'object', properties: { x: { type: 'number' } }, required: ['x'] },
    },
  });

  it.each([
    ['everything', { label: 'abc', score: 0.5, kind: 'x', anything: null, boxes: [{ x: 1 }] }, []],
    ['fields that nobody declared', { label: 'a', more: 1 }, []],
    ['a missing required field', {}, ['$']],
    ['a text that is too long', { label: 'abcd' }, ['$.label']],
    ['a number out of bounds', { label: 'a', score: 2 }, ['$.score']],
    ['another choice', { label: 'a', kind: 'z' }, ['$.kind']],
    ['too many elements', { label: 'a', boxes: [{ x: 1 }, { x: 1 }, { x: 1 }] }, ['$.boxes']],
    ['a wrong element', { label: 'a', boxes: [{ x: 1 }, {}] }, ['$.boxes[1]']],
    ['several things at once', { label: 7, score: 'x' }, ['$.label', '$.score']],
  ])('from AIOS field descriptors checks %s', (_, value, paths) => {
    expect(compileProtocol(roi)(value).map(({ path }) => path)).toEqual(paths);
  });

  it('names the key that is not allowed, and the nearest', () => {
    const check = compileProtocol({ properties: { topK: {} }, additionalProperties: false });

    expect(check({ top_k: 1 }, '$.parameters')).toMatchObject([
      { path: '$.parameters.top_k', nearest: 'topK', seen: '1' },
    ]);
  });

  it.each([
    ['an unknown type', { type: 'strin' }],
    ['a reference outside itself', { $ref: 'https://example.com/schema.json' }],
    ['a pattern that is none', { pattern: '(' }],
    ['an asynchronous one', { $async: true, type: 'object' }],
    ['a huge one', { description: 'x'.repeat(300_000) }],
  ])('is refused when it is %s', (_, schema) => {
    expect(() => compileProtocol(schema)).toThrow(
      expect.objectContaining({ code: 'SPEC_INVALID' }),
    );
  });

  it('may have the id of another without meeting it', () => {
    const first = compileProtocol({ $id: 'urn:example:same', type: 'string' });
    const second = compileProtocol({ $id: 'urn:example:same', type: 'number' });

    expect([first('a').length, second('a').length]).toEqual([0, 1]);
  });

  it('is compiled once, and forgotten in the end', () => {
    const schema = { const: 'first' };
    const check = compileProtocol(schema);
    expect(compileProtocol({ const: 'first' })).toBe(check);

    for (let index = 0; index < 256; index += 1) compileProtocol({ const: index });

    expect(compileProtocol(schema)).not.toBe(check);
  });

  it('does not keep field descriptors that mean nothing', () => {
    expect(() => protocolFromFieldSchema({ a: { type: 'string', mim: 1 } })).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ path: '$.a.mim', nearest: 'min' })],
      }),
    );
  });
});
