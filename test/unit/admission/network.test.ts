import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPatch } from '../../../runtime/admission/network-patch.ts';
import { preCheckActions } from '../../../sdk/hooks.ts';
import { readDocument, readNetwork, readSearch } from '../../../sdk/spec/index.ts';

const reference = (name: string) => ({
  policyRuleURI: `${name}:1.0.0-stable`,
  parameters: {},
  settings: {},
});
const problemsOf = (read: () => unknown) => {
  try {
    read();
    return [];
  } catch (error) {
    return (error as { problems: readonly { path: string; nearest?: string }[] }).problems;
  }
};

describe('a network document', () => {
  test('is read with a URI alone for a reference, and create_cluster for add_cluster', () => {
    const { preChecks, templates } = readNetwork({
      preChecks: { create_cluster: 'a:1.0.0-stable', add_node: reference('b') },
      templates: { 'Mine/V1': 'c:1.0.0-stable' },
    });
    expect(preChecks).toEqual({ add_cluster: reference('a'), add_node: reference('b') });
    expect(templates).toEqual({ 'Mine/V1': reference('c') });
    expect(readNetwork({})).toEqual({ policies: {}, preChecks: {}, templates: {} });
  });

  test('says every problem at once, with the nearest names', () => {
    const problems = problemsOf(() =>
      readNetwork({
        policies: { autoscalr: reference('x') },
        preChecks: {
          ad_node: reference('x'),
          scale_block: 7,
          create_cluster: 'a:1-s',
          add_cluster: 'b:1-s',
        },
        template: {},
      }),
    );
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: '$.policies.autoscalr', nearest: 'autoscaler' }),
        expect.objectContaining({ path: '$.preChecks.ad_node', nearest: 'add_node' }),
        expect.objectContaining({ path: '$.preChecks.scale_block' }),
        expect.objectContaining({ path: '$.preChecks.add_cluster' }),
        expect.objectContaining({ path: '$.template', nearest: 'templates' }),
      ]),
    );
  });

  test.each([
    null,
    7,
    'text',
    [],
    { preChecks: [] },
    { policies: 3 },
    JSON.parse('{"__proto__": {}}'),
  ])('that is %j is refused', (document) => {
    expect(problemsOf(() => readNetwork(document))).not.toEqual([]);
  });
});

describe('a patch', () => {
  const checks = fc.dictionary(fc.constantFrom(...preCheckActions), fc.constantFrom('a', 'b', 'c'));

  test('changes what it names and nothing else', () => {
    fc.assert(
      fc.property(
        checks,
        fc.dictionary(
          fc.constantFrom(...preCheckActions),
          fc.option(fc.constantFrom('d', 'e'), { nil: null }),
        ),
        (before, changes) => {
          const references = (names: Readonly<Record<string, string | null>>) =>
            Object.fromEntries(
              Object.entries(names).map(([key, name]) => [
                key,
                name === null ? null : reference(name),
              ]),
            );
          const current = readNetwork({ preChecks: references(before) });
          const after = applyPatch(current, { preChecks: references(changes) });
          const expected = Object.entries({ ...before, ...changes }).filter(
            ([, name]) => name !== null,
          );
          expect(after).toEqual({
            ...current,
            preChecks: references(Object.fromEntries(expected) as Record<string, string>),
          });
          expect(applyPatch(after, {})).toEqual(after);
        },
      ),
    );
  });

  test('under an alias replaces what has the other name', () => {
    const current = readNetwork({ preChecks: { add_cluster: reference('a') } });
    expect(
      applyPatch(current, { preChecks: { create_cluster: reference('b') } }).preChecks,
    ).toEqual({
      add_cluster: reference('b'),
    });
  });
});

describe('an AIOS cluster document', () => {
  test('keeps pre-checks and stability checker in its config', () => {
    const { value, warnings } = readDocument('cluster', {
      id: 'c1',
      config: {
        actionsPolicyMap: { add_node: 'a:1.0.0-stable', onScaleUp: 'evaluate', ad_block: 'x:1-s' },
        stabilityChecker: { policyRuleURI: 's:1.0.0-stable', settings: { check_interval_sec: 9 } },
      },
    });
    expect(value.preChecks).toEqual({ add_node: reference('a') });
    expect(value.policies.stabilityChecker).toMatchObject({ settings: { check_interval_sec: 9 } });
    expect(warnings).toMatchObject([
      {
        path: '$.config.actionsPolicyMap',
        message: expect.stringContaining("did you mean 'add_block'?"),
      },
    ]);
    // As it is stored, it says the same.
    expect(readDocument('cluster', value).value).toEqual(value);
  });

  test('has its own form, in which an unknown action is an error', () => {
    expect(
      problemsOf(() => readDocument('cluster', { id: 'c', preChecks: { ad_block: 'a:1-s' } })),
    ).toMatchObject([{ path: '$.preChecks.ad_block', nearest: 'add_block' }]);
  });
});

describe('a search', () => {
  const filterRule = { matchType: 'block', filter: { blockQuery: {} } };
  const ranking = {
    policyRuleURI: 'r:1.0.0-stable',
    parameters: { filterRule, return: 3, weight: 2 },
  };

  test.each([
    [
      'plain',
      {
        matchType: 'block',
        filter: { blockQuery: {} },
        limit: 3,
        rankingPolicyRule: { policyRuleURI: 'r:1.0.0-stable', parameters: { weight: 2 } },
      },
    ],
    ['without an envelope', { rankingPolicyRule: ranking }],
    [
      'wrapped',
      { body: { values: { matchType: 'block', rankingPolicyRule: { values: ranking } } } },
    ],
    ['wrapped twice', { body: { spec: { values: { rankingPolicyRule: { values: ranking } } } } }],
  ])('in AIOS’s form %s is read alike', (_name, document) => {
    expect(readSearch(document).value).toEqual({
      matchType: 'block',
      filter: { blockQuery: {} },
      limit: 3,
      rankingPolicyRule: { ...reference('r'), parameters: { weight: 2 } },
    });
  });

  test('of an unknown kind names the nearest', () => {
    expect(problemsOf(() => readSearch({ matchType: 'blok' }))).toMatchObject([
      { path: '$.matchType', nearest: 'block' },
    ]);
  });
});
