import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createStopMatcher } from '../../../runtime/model/index.ts';
import { createAnswerText } from '../../../runtime/vdag/answer-text.ts';

/** Tokens are indexes into a list of texts; an empty text is a special token or a part of a character. */
function play(texts: readonly string[], stops: readonly string[]) {
  const answer = createAnswerText<number>(
    { push: (token) => texts[token] ?? '', flush: () => '' },
    stops.length > 0 ? createStopMatcher(stops) : undefined,
  );
  const shown: number[] = [];
  let text = '';
  for (const token of texts.keys()) {
    const step = answer.push(token, token);
    for (const { item, text: piece } of step.shown) {
      shown.push(item);
      text += piece;
    }
    if (step.ending) return { shown, text: text + step.ending.text, stopped: true };
  }
  const rest = answer.finish();
  for (const { item, text: piece } of rest.shown) {
    shown.push(item);
    text += piece;
  }
  return { shown, text: text + rest.text, stopped: false };
}

const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 }), {
  maxLength: 20,
});
const stopStrings = fc.array(
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }),
  { minLength: 1, maxLength: 3 },
);

/** Where the first complete stop string ends and what is before it, found the slow way. */
function cutAt(text: string, stops: readonly string[]): string | undefined {
  for (let end = 1; end <= text.length; end++) {
    const found = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0];
    if (found !== undefined) return text.slice(0, end - found.length);
  }
  return undefined;
}

describe('the text of an answer', () => {
  test('is that of its tokens when nothing stops it', () => {
    fc.assert(
      fc.property(pieces, (texts) => {
        const { shown, text } = play(texts, []);

        expect(text).toBe(texts.join(''));
        expect(shown).toEqual([...texts.keys()]);
      }),
    );
  });

  test('ends before the first stop string, however the tokens cut it', () => {
    fc.assert(
      fc.property(pieces, stopStrings, (texts, stops) => {
        const whole = texts.join('');
        const { text, stopped } = play(texts, stops);
        const cut = cutAt(whole, stops);

        expect(stopped).toBe(cut !== undefined);
        expect(text).toBe(cut ?? whole);
      }),
    );
  });

  test('shows tokens in order, and of a stop string only one that began before it', () => {
    fc.assert(
      fc.property(pieces, stopStrings, (texts, stops) => {
        const { shown, text, stopped } = play(texts, stops);
        const starts = texts.map((_, index) => texts.slice(0, index).join('').length);

        expect(shown).toEqual([...shown.keys()]);
        if (!stopped) expect(shown).toHaveLength(texts.length);
        for (const [index, start] of starts.entries()) {
          if (start < text.length) expect(shown).toContain(index);
          if (stopped && start > text.length) expect(shown).not.toContain(index);
        }
      }),
    );
  });

  test('is held back only while it may become a stop string', () => {
    const texts = ['so', 'm', 'e ', 'X', 'Y', 'z'];
    const answer = createAnswerText<number>(
      { push: (token) => texts[token] ?? '', flush: () => '' },
      createStopMatcher(['XY!']),
    );
    const pushes = texts.map((_, token) => answer.push(token, token).shown);

    expect(pushes.map((shown) => shown.map(({ text }) => text))).toEqual([
      ['so'],
      ['m'],
      ['e '],
      [],
      [],
      ['X', 'Y', 'z'],
    ]);
  });
});
