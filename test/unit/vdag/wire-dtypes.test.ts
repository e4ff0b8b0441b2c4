import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoutedInstance } from '../../../runtime/control-plane.ts';
import { autoDtype, chooseWireDtypes, measuredHops } from '../../../runtime/vdag/wire-dtypes.ts';
import { readDocument } from '../../../sdk/spec/index.ts';
import { wireDtypes } from '../../../sdk/spec/wire-dtype.ts';

const shard = (nodeId: string): RoutedInstance => ({
  ...{ instanceId: `on-${nodeId}`, blockId: 'b', clusterId: 'c', nodeId },
  ...{ address: '127.0.0.1:1', secret: '', release() {} },
});
const shards = ['n1', 'n2', 'n3'].map(shard);

describe('auto', () => {
  it.each([
    ['nothing was measured', undefined, 'fp32'],
    ['a row takes no time beside its step', { bytesPerSecond: 1e9, stepMs: 10 }, 'fp32'],
    ['a row takes less than anybody waits', { bytesPerSecond: 1e9 }, 'fp32'],
    ['a row takes a part of its step', { bytesPerSecond: 5e6, stepMs: 10 }, 'fp16'],
    ['half a row takes longer than its step', { bytesPerSecond: 5e5, stepMs: 10 }, 'int8'],
  ] as const)('where %s', (_, measured, expected) => {
    expect(autoDtype(16_384, measured)).toBe(expected);
  });

  it('never sends more for a slower link', () => {
    const speed = fc.double({ min: 1e3, max: 1e11, noNaN: true });
    const step = fc.double({ min: 0.01, max: 1000, noNaN: true });
    fc.assert(
      fc.property(speed, speed, step, (a, b, stepMs) => {
        const rank = (bytesPerSecond: number) =>
          wireDtypes.indexOf(autoDtype(16_384, { bytesPerSecond, stepMs }));
        expect(rank(Math.min(a, b))).toBeGreaterThanOrEqual(rank(Math.max(a, b)));
      }),
    );
  });
});

describe('the links of a model', () => {
  it('are fp32 unless somebody says otherwise', () => {
    expect(chooseWireDtypes({}, shards)).toEqual(['fp32', 'fp32']);
    expect(chooseWireDtypes({ activationDtype: 'int8' }, shards)).toEqual(['int8', 'int8']);
    expect(chooseWireDtypes({ activationDtype: ['fp16', 'fp32'] }, shards)).toEqual([
      'fp16',
      'fp32',
    ]);
    expect(chooseWireDtypes({ activationDtype: 'auto' }, shards.slice(0, 1))).toEqual([]);
  });

  it('go by what was measured of each where they are auto', () => {
    const speeds = {
      links: () => [],
      link: (_tenant: string, a: string, b: string) =>
        a === 'c/n1' && b === 'c/n2' ? { latencyMs: 1, bytesPerSecond: 5e6 } : undefined,
      stepMs: () => 10,
    };
    const hops = measuredHops({ speeds });
    const chosen = chooseWireDtypes(
      { activationDtype: ['auto', 'auto'], hiddenSize: 4096 },
      shards,
      (from, to) => hops('default', from, to),
    );
    expect(chosen).toEqual(['fp16', 'fp32']);
  });
});

describe('the document', () => {
  const document = (stages: readonly string[], activationDtype: unknown) => ({
    ...{ uri: 'm:1-stable', nodes: stages.map((label) => ({ label, blockId: label })) },
    generation: {
      ...{ files: [], contextTokens: 8, vocabularySize: 8, endTokenIds: [], stages },
      activationDtype,
    },
  });

  it.each(['fp16', 'auto', ['fp16', 'int8']])('takes %j for three shards', (dtype) => {
    expect(readDocument('vdag', document(['a', 'b', 'c'], dtype)).value).toMatchObject({
      generation: { activationDtype: dtype },
    });
  });

  it.each(['fp8', ['fp16'], ['fp16', 'int8', 'fp32'], 16])(
    'refuses %j for three shards',
    (dtype) => {
      expect(() => readDocument('vdag', document(['a', 'b', 'c'], dtype))).toThrow(
        expect.objectContaining({
          code: 'SPEC_INVALID',
          problems: [expect.objectContaining({ path: '$.generation.activationDtype' })],
        }),
      );
    },
  );
});
