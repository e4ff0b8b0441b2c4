import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../../sdk/nearest.ts';

describe('the edit distance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['minInstances', 'minInstacnes', 1],
    ['ca', 'abc', 3],
  ])('of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  it('is symmetric, zero only for equals, and at most the longer length', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('the nearest word', () => {
  const keys = ['minInstances', 'maxInstances', 'releaseTag', 'parameters', 'id'];

  it.each([
    ['minInstnces', 'minInstances'],
    ['release_tag', 'releaseTag'],
    ['PARAMETERS', 'parameters'],
    ['paramters', 'parameters'],
    ['settings', undefined],
    ['x', undefined],
  ])('to %j is %j', (word, expected) => {
    expect(nearest(word, keys)).toBe(expected);
  });
});
