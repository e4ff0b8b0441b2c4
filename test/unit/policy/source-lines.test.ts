import { expect, test } from 'vitest';
import { createLineFinder } from '../../../runtime/policy/source-lines.ts';

/** Line 1 of the bundle is a dependency's first, line 2 the author's fifth. */
const map = {
  version: 3,
  sources: ['node_modules/zod/parse.js', 'policies/mine.ts'],
  names: [],
  mappings: 'AAAA;ACIA',
};
const encoded = Buffer.from(JSON.stringify(map)).toString('base64');
const find = createLineFinder(
  `one\ntwo\n//# sourceMappingURL=data:application/json;base64,${encoded}\n`,
);

test('a stack is placed in the author’s file, also where a dependency threw', () => {
  expect(find('    at parse (policy.js:1:1)\n    at evaluate (policy.js:2:1)')).toBe('mine.ts:5');
  expect(find('    at evaluate (policy.js:2:1)')).toBe('mine.ts:5');
});

test('in what the author imports, where no frame is the author’s', () => {
  expect(find('    at parse (policy.js:1:1)')).toBe('parse.js:1');
});

test('in the bundle without a map, and nowhere without a frame', () => {
  expect(createLineFinder('one\n')('    at evaluate (policy.js:7:3)')).toBe('policy.js:7');
  expect(find('    at <eval>')).toBeUndefined();
});
