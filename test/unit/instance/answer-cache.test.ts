import { expect, it } from 'vitest';
import { createAnswerCache } from '../../../runtime/instance/answer-cache.ts';
import { shareAnswer } from '../../../runtime/instance/shared-answer.ts';

const signal = new AbortController().signal;
const part = { final: true, data: 1 };

/** An answer that takes until `release`, and ignores that nobody wants it any more. */
function stubborn() {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const answer = shareAnswer(async function* () {
    await released;
    yield part;
  });
  return { answer, release };
}

it('an answer that is under way is shared, and one that was given is kept', async () => {
  const cache = createAnswerCache(2);
  const { answer, release } = stubborn();
  cache.put('s', 0, answer);
  expect(cache.get('s', 0)).toBe(answer);

  release();
  await answer.done;

  expect(cache.get('s', 0)).toBe(answer);
  expect(cache.get('s', 1)).toBe(undefined);
});

it('an answer that its last reader left is nobody else’s, however long it goes on', async () => {
  const cache = createAnswerCache(2);
  const first = stubborn();
  cache.put('s', 0, first.answer);
  const leaving = new AbortController();
  const reading = first.answer.read(leaving.signal).next();
  leaving.abort(new Error('gone'));
  await expect(reading).rejects.toThrow('gone');

  expect(cache.get('s', 0)).toBe(undefined);

  const second = stubborn();
  cache.put('s', 0, second.answer);
  first.release();
  await first.answer.done;
  expect(cache.get('s', 0)).toBe(second.answer);
  second.release();
  await expect(second.answer.read(signal).next()).resolves.toMatchObject({ value: part });
});
