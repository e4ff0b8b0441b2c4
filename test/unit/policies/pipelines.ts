import fc from 'fast-check';
import type { HookInput } from '../../../sdk/hooks.ts';

export type Question = HookInput<'splitPlanner'>;

interface Size {
  readonly nodes: readonly [number, number];
  readonly layers: readonly [number, number];
  /** @default 60 */
  readonly memory?: number;
}

/** Small numbers of everything, so that plans are often as fast as others. */
export const questionsOf = ({ nodes: [fewest, most], layers: [few, many], memory = 60 }: Size) =>
  fc
    .record({
      layers: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: few, maxLength: many }),
      nodes: fc.array(
        fc.record({
          freeMemoryBytes: fc.integer({ min: 0, max: memory }),
          weightBytesPerSecond: fc.integer({ min: 1, max: 50 }),
        }),
        { minLength: fewest, maxLength: most },
      ),
      hops: fc.array(fc.integer({ min: 0, max: 400 }), {
        minLength: (most * (most - 1)) / 2,
        maxLength: (most * (most - 1)) / 2,
      }),
      headBytes: fc.integer({ min: 0, max: 8 }),
    })
    .map(({ layers, nodes: given, hops, headBytes }): Question => {
      const named = given.map((node, at) => ({
        ...{ clusterId: `c${at % 2}`, nodeId: `n${at}`, cpuCores: 1 },
        ...node,
      }));
      const pairs = named.flatMap((a, at) => named.slice(at + 1).map((b) => [a, b] as const));
      const nameOf = ({ clusterId, nodeId }: (typeof named)[number]) => `${clusterId}/${nodeId}`;
      return {
        action: 'plan',
        model: {
          ...{ name: 'm', embeddingBytes: 1, overheadBytes: 2, activationBytes: 100, headBytes },
          layers: layers.map((residentBytes) => ({ residentBytes, kvBytes: 1 })),
        },
        nodes: named,
        links: pairs.map(([a, b], at) => ({
          between: [nameOf(a), nameOf(b)] as const,
          latencyMs: hops[at] ?? 0,
          bytesPerSecond: 1e5,
        })),
      };
    });
