import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStopMatcher } from '../../../runtime/model/stop-strings.ts';

/** The definition, read off the whole text: first complete, then longest. */
function naive(text: string, stops: readonly string[]): { text: string; stop?: string } {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0];
    if (complete) return { text: text.slice(0, end - complete.length), stop: complete };
  }
  return { text };
}

function streamed(pieces: readonly string[], stops: readonly string[]) {
  const matcher = createStopMatcher(stops);
  let text = '';
  for (const piece of pieces) {
    const result = matcher.push(piece);
    text += result.text;
    if (result.stop !== undefined) return { text, stop: result.stop };
  }
  return { text: text + matcher.flush() };
}

const letters = (maxLength: number, minLength = 0) =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength, maxLength });

describe('stop strings', () => {
  it('end the text where a search of the whole text would, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(letters(6), { maxLength: 12 }),
        fc.array(letters(5, 1), { maxLength: 4 }),
        (pieces, stops) => {
          expect(streamed(pieces, stops)).toEqual(naive(pieces.join(''), stops));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('hold back no more than what may still become a stop string', () => {
    const matcher = createStopMatcher(['</end>', 'STOP']);

    expect(matcher.push('Hello <')).toEqual({ text: 'Hello ' });
    expect(matcher.push('/e')).toEqual({ text: '' });
    expect(matcher.push('x and ST')).toEqual({ text: '</ex and ' });
    expect(matcher.push('OPPED')).toEqual({ text: '', stop: 'STOP' });
    expect(matcher.push('more')).toEqual({ text: '' });
    expect(matcher.flush()).toBe('');
  });

  it('give back what was held when the text ends', () => {
    const matcher = createStopMatcher(['abc']);
    expect(matcher.push('xab').text).toBe('x');
    expect(matcher.flush()).toBe('ab');
  });

  it('pass everything through when there are none', () => {
    expect(createStopMatcher([]).push('a')).toEqual({ text: 'a' });
  });

  it('refuse an empty stop string', () => {
    expect(() => createStopMatcher(['a', ''])).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    );
  });
});
