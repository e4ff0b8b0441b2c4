import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fewest } from '../../../policies/support/fewest.ts';
import { whyNotAndWhatWould } from '../../../policies/support/would-fit.ts';
import type { HookInput } from '../../../sdk/hooks.ts';
import { parseBytes } from '../../../sdk/units.ts';

type Question = HookInput<'splitPlanner'>;
const mebibyte = 2 ** 20;

const questionOf = (
  layers: number,
  layerMebibytes: number,
  kvMebibytes: number,
  free: readonly number[],
): Question => ({
  action: 'plan',
  model: {
    ...{ name: 'm', embeddingBytes: 0, headBytes: 0, overheadBytes: 8 * mebibyte },
    layers: Array.from({ length: layers }, () => ({
      residentBytes: layerMebibytes * mebibyte,
      kvBytes: kvMebibytes * mebibyte,
    })),
    ...{ maxSessions: 8, contextTokens: 4096, weightDtype: 'fp32' },
  },
  nodes: free.map((mebibytes, at) => ({
    ...{ clusterId: 'c', nodeId: `n${at}`, cpuCores: 4, freeMemoryBytes: mebibytes * mebibyte },
  })),
});
const sizesOf = ({ nodes }: Question) =>
  nodes.map((node) => node.freeMemoryBytes).sort((a, b) => b - a);

it('names each single change that would do', () => {
  const sentence = whyNotAndWhatWould(questionOf(8, 100, 60, [900]));

  expect(sentence).toContain("'m' needs 1.3 GiB");
  expect(sentence).toMatch(/38\d(\.\d)? MiB more on c\/n0/);
  expect(sentence).toContain('1 session at once, not 8');
  expect(sentence).toContain('a context of 768 tokens, not 4096');
  expect(sentence).toContain('weights as int8');
});

it('does not promise what would not do', () => {
  const sentence = whyNotAndWhatWould(questionOf(4, 1000, 1, [900]));

  expect(sentence).not.toContain('session');
  expect(sentence).not.toContain('context');
  expect(sentence).not.toContain('int8');
  expect(sentence).not.toContain('int4');
  expect(sentence).toContain('more on c/n0');
});

it('the memory that it names is enough, and no other node needs much less', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
      (layers, layerMebibytes, free) => {
        const question = questionOf(layers, layerMebibytes, 1, free);
        fc.pre(!fewest(question.model, sizesOf(question)));
        const named = /([\d.]+ [KMG]?i?B) more on c\/(n\d)/.exec(whyNotAndWhatWould(question));
        // Shown with a digit behind the point: as much more as that may hide.
        const more = parseBytes(named?.[1] ?? '') * 1.1;
        const given = question.nodes.map((node) =>
          node.nodeId === named?.[2]
            ? { ...node, freeMemoryBytes: node.freeMemoryBytes + more }
            : node,
        );
        expect(fewest(question.model, sizesOf({ ...question, nodes: given }))).toBeDefined();
      },
    ),
    { numRuns: 60 },
  );
});
