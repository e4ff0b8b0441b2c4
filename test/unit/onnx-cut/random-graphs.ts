import fc from 'fast-check';
import { GraphBuilder } from '../../../runtime/model/onnx/graph-builder.ts';
import type { OnnxArrays } from '../../../runtime/model/onnx-cut/onnx-shard.ts';
import { floats } from '../../support/onnx-split.ts';

const size = 16;
const square = [size, size];

type Step =
  | {
      readonly kind: 'pair';
      readonly operator: 'Add' | 'Mul' | 'Sub';
      readonly picks: readonly number[];
    }
  | {
      readonly kind: 'single';
      readonly operator: 'Relu' | 'Sigmoid' | 'Transpose';
      readonly picks: readonly number[];
    }
  | {
      readonly kind: 'product' | 'joined' | 'choice' | 'constant';
      readonly picks: readonly number[];
    };

export interface RandomGraph {
  readonly steps: readonly Step[];
  /** Picks among all tensors. */
  readonly outputs: readonly number[];
  readonly firstSeed: number;
}

const picks = fc.array(fc.nat(1000), { minLength: 2, maxLength: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('pair' as const),
    operator: fc.constantFrom('Add' as const, 'Mul' as const, 'Sub' as const),
    picks,
  }),
  fc.record({
    kind: fc.constant('single' as const),
    operator: fc.constantFrom('Relu' as const, 'Sigmoid' as const, 'Transpose' as const),
    picks,
  }),
  fc.record({
    kind: fc.constantFrom(
      'product' as const,
      'product' as const,
      'joined' as const,
      'choice' as const,
      'constant' as const,
    ),
    picks,
  }),
);

export const randomGraph: fc.Arbitrary<RandomGraph> = fc.record({
  steps: fc.array(step, { minLength: 3, maxLength: 24 }),
  outputs: fc.array(fc.nat(1000), { minLength: 1, maxLength: 3 }),
  firstSeed: fc.nat(1_000_000),
});

/** Of all matrices the graph computes, the names in order; those that cannot be named for a cut are left out. */
export interface BuiltGraph {
  readonly model: Uint8Array;
  readonly computed: readonly string[];
}

const typed = (name: string) => ({ name, type: 'float32' as const, shape: square });

/** Cheap operators over 16 × 16 matrices: weights of a kilobyte, splits and joins, branches that read from around them. */
export function buildGraph({ steps, outputs, firstSeed }: RandomGraph): BuiltGraph {
  const graph = new GraphBuilder('random');
  graph.input(typed('a'));
  graph.input(typed('b'));
  graph.input({ name: 'flag', type: 'bool', shape: [] });
  const names = ['a', 'b'];
  let seed = firstSeed;
  const bytes = () => {
    seed += 1;
    return floats(square, (index) => Math.sin(seed * 7.3 + index * 1.7) / 4).data;
  };
  const weight = (into: GraphBuilder, name: string) =>
    into.initializer({ name, type: 'float32', shape: square, data: bytes() });
  const add = (name: string) => void names.push(name);

  for (const [index, one] of steps.entries()) {
    const [x = 'a', y = 'b'] = one.picks.map((pick) => names[pick % names.length]);
    const name = `t${index}`;
    if (one.kind === 'pair') add(graph.value(one.operator, name, [x, y]));
    else if (one.kind === 'single') add(graph.value(one.operator, name, [x]));
    else if (one.kind === 'product')
      add(graph.value('MatMul', name, [x, weight(graph, `w${index}`)]));
    else if (one.kind === 'constant') {
      const tensor = { name: '', type: 'float32' as const, shape: square, data: bytes() };
      add(graph.value('Constant', name, [], { value: { tensor } }));
    } else if (one.kind === 'joined') {
      graph.value('Concat', `${name}.joined`, [x, y], { axis: { i: 0 } });
      graph.node('Split', [`${name}.joined`], [`${name}.0`, `${name}.1`], {
        attributes: { axis: { i: 0 } },
      });
      add(`${name}.0`);
      add(`${name}.1`);
    } else {
      const branch = (operator: string, other: string | undefined, end: string) => {
        const inner = new GraphBuilder(end);
        inner.value(operator, end, [x, other ?? weight(inner, `${end}.w`)]);
        inner.output(typed(end));
        return { graph: inner.graph() };
      };
      const branches = {
        then_branch: branch('Add', y, `${name}.then`),
        else_branch: branch('MatMul', undefined, `${name}.else`),
      };
      add(graph.value('If', name, ['flag'], branches));
    }
  }
  const computed = names.slice(2);
  const chosen = new Set([
    ...outputs.map((pick) => computed[pick % computed.length] ?? ''),
    computed.at(-1) ?? '',
  ]);
  for (const name of chosen) graph.output(typed(name));
  return { model: graph.encode(), computed };
}

export const randomInputs = (flag: boolean): OnnxArrays => ({
  a: floats(square, (index) => Math.cos(index * 0.9)),
  b: floats(square, (index) => Math.sin(index * 1.3)),
  flag: { dtype: 'bool', shape: [], data: Uint8Array.of(flag ? 1 : 0) },
});
