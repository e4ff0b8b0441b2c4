import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { hookNames } from '../../../sdk/hooks.ts';

it('the page of policies names each, by hook, and when to choose it', () => {
  const page = readFileSync(new URL('../../../docs/policies.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([^`]+)` \| `(\w+)` \| (.+) \|$/gm)].map(
    ([, uri, hook, description]) => ({ uri, hook, description }),
  );
  const expected = hookNames.flatMap((hook) =>
    builtinPolicies
      .filter((policy) => policy.hook === hook)
      .map(({ uri, description }) => ({ uri, hook, description })),
  );

  expect(rows).toEqual(expected);
});
