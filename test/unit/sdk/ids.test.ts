import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ids from '../../../sdk/ids.ts';

const name = fc.stringMatching(/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,20}[A-Za-z0-9_])?$/);
const version = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,20}$/);
const releaseTag = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+]{0,10}$/);

describe('a versioned name', () => {
  it('is read back as it was written, hyphens in the version included', () => {
    fc.assert(
      fc.property(fc.record({ name, version, releaseTag }), (parts) => {
        expect(ids.parseVersionedName(ids.formatVersionedName(parts))).toEqual(parts);
      }),
    );
  });

  it('may lack the tag', () => {
    expect(ids.parseVersionedName('policy.x.y:v1')).toEqual({ name: 'policy.x.y', version: 'v1' });
  });

  it('has its tag after the last hyphen', () => {
    expect(ids.parseVersionedName('m:2024-01-05-rc')).toEqual({
      name: 'm',
      version: '2024-01-05',
      releaseTag: 'rc',
    });
  });

  it.each([
    '',
    ':',
    'a',
    'a:',
    ':1',
    'a:-x',
    'a:1-',
    'a b:1',
    'a:1:2',
    '.a:1',
    'a:1\n',
    `${'a'.repeat(260)}:1`,
  ])('is refused: %j', (text) => {
    expect(() => ids.parseVersionedName(text)).toThrow(
      expect.objectContaining({ code: 'URI_MALFORMED' }),
    );
  });
});

describe('an identifier', () => {
  it.each(['blk-weugwtns', 'a', '0-0', 'a'.repeat(253)])('of a block may be %s', (text) => {
    expect(ids.blockId(text)).toBe(text);
  });

  it.each(['', '-a', 'a-', 'A', 'a_b', 'a\n', 'a'.repeat(254)])('of a block is not %j', (text) => {
    expect(() => ids.blockId(text)).toThrow(expect.objectContaining({ code: 'URI_MALFORMED' }));
  });

  it('of a component has a type and a tag', () => {
    expect(ids.componentUri('node.algorithm.yolo:v0.0.2-beta')).toBeTypeOf('string');
    for (const text of ['yolo:1-stable', 'model.yolo:1']) {
      expect(() => ids.componentUri(text)).toThrow(
        expect.objectContaining({ code: 'URI_MALFORMED' }),
      );
    }
  });

  it('of content is a sha256 in lower case', () => {
    const hash = `sha256:${'0a'.repeat(32)}`;
    expect(ids.contentHash(hash)).toBe(hash);
    for (const text of [hash.toUpperCase(), hash.slice(0, -1), hash.slice(7)]) {
      expect(() => ids.contentHash(text)).toThrow(
        expect.objectContaining({ code: 'URI_MALFORMED' }),
      );
    }
  });
});
