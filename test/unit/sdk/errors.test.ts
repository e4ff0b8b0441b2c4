import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AiosError,
  type ErrorCode,
  errorCodes,
  formatProblems,
  SpecError,
  shorten,
} from '../../../sdk/errors.ts';

const codes = Object.keys(errorCodes) as ErrorCode[];
const problem = fc.record(
  { path: fc.string(), message: fc.string(), expected: fc.string(), seen: fc.string() },
  { requiredKeys: ['path', 'message'] },
);

describe('an error', () => {
  it('crosses a wire and back with all that may leave the process', () => {
    const details = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...codes),
        fc.string(),
        fc.array(problem, { maxLength: 3 }),
        details,
        fc.boolean(),
        (code, message, problems, facts, retryable) => {
          const error = new AiosError(code, message, { problems, details: facts, retryable });

          const back = AiosError.deserialize(JSON.parse(JSON.stringify(error.serialize())));

          expect(back.serialize()).toEqual(error.serialize());
        },
      ),
    );
  });

  it('never sends its cause or its stack', () => {
    const error = new AiosError('INTERNAL', 'failed', { cause: new Error('secret') });

    expect(JSON.stringify(error.serialize())).not.toContain('secret');
    expect(Object.keys(error.serialize()).sort()).toEqual(['code', 'message', 'retryable']);
  });

  it('with an unknown code becomes INTERNAL', () => {
    const wire = { code: 'toString' as ErrorCode, message: 'm', retryable: false };

    expect(AiosError.deserialize(wire).code).toBe('INTERNAL');
  });

  it('is known across copies of the package, and nothing else is', () => {
    expect(AiosError.isInstance(new SpecError('SPEC_INVALID', 'm'))).toBe(true);
    expect(AiosError.isInstance(new Error('m'))).toBe(false);
    expect(AiosError.isInstance({ code: 'SPEC_INVALID' })).toBe(false);
  });

  it('keeps what is already ours, and wraps the rest once', () => {
    const ours = new SpecError('SPEC_INVALID', 'm');

    expect(AiosError.from(ours)).toBe(ours);
    expect(AiosError.from('text', 'BUSY')).toMatchObject({ code: 'BUSY', message: 'text' });
  });

  it.each(codes)('%s has a meaning on every face', (code) => {
    const { http, grpc, exit } = errorCodes[code];

    expect(http).toBeGreaterThanOrEqual(400);
    expect(grpc).toBeGreaterThan(0);
    expect(exit).toBeGreaterThan(0);
    expect(exit).toBeLessThan(256);
  });
});

it('problems are printed one a line', () => {
  const text = formatProblems([
    { path: '$.a', message: 'is wrong', expected: 'text', seen: '7', nearest: 'b' },
    { path: '$.c', message: 'is missing' },
  ]);

  expect(text.split('\n')).toEqual([
    "  $.a: is wrong; expected text; got 7; did you mean 'b'?",
    '  $.c: is missing',
  ]);
});

it('values are shortened for messages', () => {
  expect(shorten({ a: 1 })).toBe('{"a":1}');
  expect(shorten('x'.repeat(1000)).length).toBeLessThanOrEqual(80);
  expect(shorten(undefined)).toBe('undefined');
});
