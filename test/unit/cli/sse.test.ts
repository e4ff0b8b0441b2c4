import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventParser, readEvents } from '../../../sdk/client/sse.ts';

const line = fc.string({ unit: fc.constantFrom('a', ' ', ':', 'é', '😀', '{', '"') });
const event = fc.record({
  event: fc.constantFrom('message', 'error'),
  lines: fc.array(line, { minLength: 1, maxLength: 3 }),
});
const lineEnd = fc.constantFrom('\n', '\r\n', '\r');

const parseAll = (pieces: readonly string[]) => {
  const parse = createEventParser();
  return pieces.flatMap((piece) => parse(piece));
};

describe('server-sent events', () => {
  it('are the same wherever the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event),
        lineEnd,
        fc.array(fc.nat(40), { minLength: 1 }),
        async (sent, end, sizes) => {
          const text = sent
            .map(({ event: name, lines }) =>
              [`event: ${name}`, ...lines.map((data) => `data: ${data}`), '', ''].join(end),
            )
            .join('');
          const bytes = new TextEncoder().encode(text);

          async function* cut() {
            for (let at = 0, index = 0; at < bytes.length; index += 1) {
              const size = 1 + (sizes[index % sizes.length] ?? 0);
              yield bytes.subarray(at, at + size);
              at += size;
            }
          }
          const seen = [];
          for await (const received of readEvents(cut())) seen.push(received);

          expect(seen).toEqual(
            sent.map(({ event: name, lines }) => ({ event: name, data: lines.join('\n') })),
          );
        },
      ),
    );
  });

  it('skip comments, unknown fields and a byte order mark, and drop an unfinished event', () => {
    const text = '\uFEFF: waiting\n\nid: 7\ndata:a\ndata\n\ndata: cut off';

    expect(parseAll([text])).toEqual([{ event: 'message', data: 'a\n' }]);
  });

  it('are refused past the longest one', () => {
    const parse = createEventParser(10);

    expect(() => parse('data: 0123456789')).toThrow(
      expect.objectContaining({ code: 'REQUEST_TOO_LARGE' }),
    );
  });

  it('do not count against the limit once they are complete', () => {
    const parse = createEventParser(10);

    expect(parse('data: 0\n\n'.repeat(5))).toHaveLength(5);
  });
});
