import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { HookName } from '../../../sdk/hooks.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';
import { type Bench, openBench } from './support.ts';

const named = (name: string) =>
  definePolicy({
    hook: 'autoscaler',
    name,
    version: '1.0.0',
    description: 'For a test.',
    parameters: z.object({ a: z.number().default(0), b: z.number().default(0) }),
    evaluate: () => ({ hold: true }),
  });

let bench: Bench;
afterEach(() => bench.close());

type Level = z.input<typeof policyReference>;
const uri = (name: string) => `${name}:1.0.0-stable`;

it.each<[string, Level | undefined, readonly Level[], string, Record<string, number>]>([
  [
    'the first level that names one',
    undefined,
    [{ policyRuleURI: uri('one') }, { policyRuleURI: uri('two') }],
    'one',
    { a: 0, b: 0 },
  ],
  [
    'a later level, where the first only has parameters',
    undefined,
    [{ parameters: { a: 1 } }, { policyRuleURI: uri('two'), parameters: { a: 2, b: 2 } }],
    'two',
    { a: 1, b: 2 },
  ],
  [
    'the use site, over all levels about it',
    { policyRuleURI: uri('one'), parameters: { b: 9 } },
    [
      { policyRuleURI: uri('one'), parameters: { a: 1, b: 1 } },
      { policyRuleURI: uri('two'), parameters: { a: 2 } },
    ],
    'one',
    { a: 1, b: 9 },
  ],
  [
    'the use site, where no level is about it',
    { policyRuleURI: uri('one') },
    [{ policyRuleURI: uri('two'), parameters: { a: 2 } }],
    'one',
    { a: 0, b: 0 },
  ],
])('defaults of several levels: %s', async (_, reference, levels, name, parameters) => {
  bench = await openBench({ extra: [named('one'), named('two')] });

  const { evaluation } = await bench.host.evaluate({
    ...{ tenant: 'default', useSite: 'block/b', inventoryRevision: 1 },
    hook: 'autoscaler' satisfies HookName,
    action: 'evaluate',
    input: structuredClone(exampleInputs.autoscaler.evaluate),
    ...(reference ? { reference: policyReference.parse(reference) } : {}),
    defaults: levels.map((level) => policyReference.parse(level)),
  });

  expect(evaluation).toMatchObject({ policyUri: uri(name), parameters });
});
