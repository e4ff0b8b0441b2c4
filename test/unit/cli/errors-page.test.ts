import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorCodes } from '../../../sdk/errors.ts';

it('docs/errors.md has each code of the table, with the same meaning and a sentence', () => {
  const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const sections = page
    .split('\n## ')
    .slice(1)
    .map((section) => section.split('\n\n'));

  const seen = sections.map(([code, line = '', sentence = '']) => {
    const match = /^HTTP (\d+) · gRPC (\d+) [A-Z_]+ · exit (\d+)( · may be repeated)?$/.exec(line);
    expect(sentence.length, code).toBeGreaterThan(20);
    const [, http, grpc, exit, retryable] = match ?? [];
    const meaning = { http: Number(http), grpc: Number(grpc), exit: Number(exit) };
    return [code, { ...meaning, retryable: retryable !== undefined }];
  });

  expect(Object.fromEntries(seen)).toEqual(errorCodes);
});
