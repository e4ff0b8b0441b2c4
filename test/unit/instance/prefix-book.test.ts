import { describe, expect, it } from 'vitest';
import { type ComingPrompt, createPrefixBook } from '../../../runtime/instance/prefix-book.ts';

const numbers = (length: number, from = 0) => Array.from({ length }, (_, at) => from + at);
const prompt = (tokens: readonly number[], change: Partial<ComingPrompt> = {}): ComingPrompt => ({
  ...{ tenant: 'a', way: 'x y', tokens },
  ...change,
});

/** A book, and the memory it is told of. */
function startBook() {
  const held = new Map<string, { tokens: number; open: boolean }>();
  const book = createPrefixBook((session) => held.get(session));
  /** Lives a session: its prompt in chunks, then one token of its answer. */
  const live = (session: string, coming: ComingPrompt, chunkRows = 8) => {
    const shared = book.find(coming);
    held.set(session, { tokens: shared?.tokens ?? 0, open: true });
    book.open(session, coming, shared);
    const { tokens } = coming;
    for (let at = 0; at < tokens.length; at += chunkRows) {
      const chunk = Int32Array.from(tokens.slice(at, at + chunkRows));
      if (!book.step(session, at, chunk)) return 'does not fit';
    }
    book.step(session, tokens.length, Int32Array.of(7));
    held.set(session, { tokens: tokens.length + 1, open: true });
    return shared?.tokens ?? 0;
  };
  return { book, held, live };
}

describe('the beginning of a prompt', () => {
  it('is shared in whole chunks, never the last, as far as it is the same', () => {
    const { live } = startBook();
    expect(live('first', prompt(numbers(30)))).toBe(0);

    expect(live('same', prompt(numbers(30)))).toBe(24);
    expect(live('longer', prompt(numbers(60)))).toBe(24);
    expect(live('as long as the chunks', prompt(numbers(24)))).toBe(16);
    expect(live('parts from it', prompt([...numbers(17), ...numbers(20, 500)]))).toBe(16);
    expect(live('longest wins', prompt(numbers(50)))).toBe(48);
    expect(live('too short', prompt(numbers(8)))).toBe(0);
    expect(live('another', prompt(numbers(30, 1)))).toBe(0);
  });

  it('is not shared between tenants, nor with what went another way', () => {
    const { live } = startBook();
    live('first', prompt(numbers(30)));

    expect(live('b', prompt(numbers(30), { tenant: 'b' }))).toBe(0);
    expect(live('c', prompt(numbers(30), { way: 'x z' }))).toBe(0);
  });

  it('is not shared before the whole chain has it, and not when it is gone', () => {
    const { book, held, live } = startBook();
    live('first', prompt(numbers(30)));
    const found = () => book.find(prompt(numbers(30)))?.tokens;

    held.set('first', { tokens: 30, open: true });
    expect(found()).toBeUndefined();
    held.set('first', { tokens: 30, open: false });
    expect(found()).toBe(24);
    held.set('first', { tokens: 20, open: false });
    expect(found()).toBeUndefined();
    held.delete('first');
    expect(found()).toBeUndefined();
  });

  it('says nothing of the length of chunks where it is one chunk', () => {
    const { live } = startBook();
    live('short', prompt(numbers(6)));

    expect(live('longer', prompt(numbers(30)))).toBe(0);
    expect(live('again', prompt(numbers(30)))).toBe(24);
  });

  it('does not fit who cuts it in another way or sends other tokens than promised', () => {
    const { book, held, live } = startBook();
    live('first', prompt(numbers(30)));
    expect(live('cuts', prompt(numbers(30)), 6)).toBe('does not fit');

    const coming = prompt(numbers(30));
    held.set('lies', { tokens: 24, open: true });
    book.open('lies', coming, { session: 'first', tokens: 24 });
    expect(book.step('lies', 0, Int32Array.from(numbers(8)))).toBe(true);
    expect(book.step('lies', 8, Int32Array.from(numbers(8, 9)))).toBe(false);
  });

  it('is forgotten when a shard says that it has lost it', () => {
    const { book, live } = startBook();
    live('first', prompt(numbers(30)));
    book.forget('first');

    expect(live('second', prompt(numbers(30)))).toBe(0);
  });

  it('is forgotten with all that went the same way: what they shared may be lost there, too', () => {
    const { book, live } = startBook();
    for (const session of ['first', 'second', 'third']) live(session, prompt(numbers(30)));
    live('elsewhere', prompt(numbers(30), { way: 'x z' }));
    live('of another', prompt(numbers(30), { tenant: 'b' }));
    book.forget('second');

    expect(book.find(prompt(numbers(30)))).toBeUndefined();
    expect(book.find(prompt(numbers(30), { way: 'x z' }))?.session).toBe('elsewhere');
    expect(book.find(prompt(numbers(30), { tenant: 'b' }))?.session).toBe('of another');
  });

  it('is the newest of those alike: a shard gives up the oldest first', () => {
    const { book, live } = startBook();
    for (const session of ['first', 'second', 'third']) live(session, prompt(numbers(30)));

    expect(book.find(prompt(numbers(30)))?.session).toBe('third');
  });
});
