import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { hookNames, hooks } from '../../../sdk/hooks.ts';

const page = readFileSync(new URL('../../../docs/policies.md', import.meta.url), 'utf8');

it('the page of policies names each, by hook, and when to choose it', () => {
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

it('and each hook with its actions, its limit and what a failure means', () => {
  const rows = page.split('\n').filter((line) => /^\| `\w+`.* ms \|/.test(line));
  const expected = hookNames.map((hook) => {
    const { description, outputs, timeLimitMs, onError, status } = hooks[hook];
    const called = status === 'called' ? '' : ' (defined, not called yet)';
    const actions = Object.keys(outputs).join(', ');
    return `| \`${hook}\`${called} | ${description} | ${actions} | ${timeLimitMs} ms | ${onError} |`;
  });

  expect(rows).toEqual(expected);
});
