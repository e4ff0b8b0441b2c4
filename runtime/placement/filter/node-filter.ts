import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import type { Misfit } from '../../../sdk/fit.ts';
import { memoFrozen } from '../../../sdk/memo.ts';
import type { GpuQuery } from './gpu-query.ts';
import { type NodeRun, tableOf } from './node-table.ts';
import type { Condition } from './subject.ts';

const examplesPerCondition = 5;

/** How many nodes one condition refused, and the first few of them. */
export interface RefusedNodes {
  readonly refusedBy: string;
  readonly count: number;
  readonly examples: readonly { readonly nodeId: string; readonly seen: string }[];
}

export interface NodeSurvey {
  /** In the order of the cluster. */
  readonly passing: readonly NodeSnapshot[];
  /** In the order in which each condition first refused. */
  readonly refused: readonly RefusedNodes[];
}

/** A compiled filter on nodes and their devices. */
export interface NodeFilter extends Pick<Condition<NodeSnapshot>, 'test' | 'passes' | 'text'> {
  /** Whether every node passes, because nothing is asked of nodes or devices. */
  readonly isEmpty: boolean;
  /** Those that pass `gpuQuery`, in order; all without one. */
  devices(node: NodeSnapshot): readonly GpuSnapshot[];
  /** Why a device does not pass `gpuQuery`; nothing for one that does. */
  testDevice(gpu: GpuSnapshot): Misfit | undefined;
  /** Those that pass, in order. Compares columns of numbers, kept while nodes are frozen and stay the same objects. */
  select(nodes: readonly NodeSnapshot[]): readonly NodeSnapshot[];
  /** The same with counts of the others by refusing condition; of unchanged runs of nodes it is remembered. */
  survey(nodes: readonly NodeSnapshot[]): NodeSurvey;
}

function selectOf(run: NodeRun, { mask }: Condition<NodeSnapshot>, passing: NodeSnapshot[]): void {
  const { things, words } = run;
  for (let word = 0; word < words; word += 1) {
    const bits = mask(run, word, run.everything(word));
    for (let left = bits; left !== 0; left &= left - 1) {
      passing.push(things[word * 32 + 31 - Math.clz32(left & -left)] as NodeSnapshot);
    }
  }
}

type Counted = { refusedBy: string; count: number; examples: { nodeId: string; seen: string }[] };

function merge(into: Map<string, Counted>, part: RefusedNodes): void {
  const known = into.get(part.refusedBy);
  if (!known) {
    into.set(part.refusedBy, { ...part, examples: [...part.examples] });
    return;
  }
  known.count += part.count;
  for (const example of part.examples) {
    if (known.examples.length === examplesPerCondition) break;
    known.examples.push(example);
  }
}

export function createNodeFilter(
  condition: Condition<NodeSnapshot>,
  gpu: GpuQuery | undefined,
): NodeFilter {
  const { test, passes, text } = condition;
  const isEmpty = text === '';

  const surveyRun = memoFrozen((run: NodeRun): NodeSurvey => {
    const passing: NodeSnapshot[] = [];
    selectOf(run, condition, passing);
    const passed = new Set(passing);
    const refused = new Map<string, Counted>();
    for (const node of run.things) {
      const reason = passed.has(node) ? undefined : test(node);
      if (!reason) continue;
      const { refusedBy, seen } = reason;
      merge(refused, { refusedBy, count: 1, examples: [{ nodeId: node.id, seen }] });
    }
    return { passing, refused: [...refused.values()] };
  });

  return {
    ...{ test, passes, text, isEmpty },
    devices: gpu ? ({ gpus }) => gpus.filter(gpu.where.passes) : ({ gpus }) => gpus,
    testDevice: gpu ? gpu.where.test : () => undefined,
    select(nodes) {
      if (isEmpty) return nodes;
      const passing: NodeSnapshot[] = [];
      for (const run of tableOf(nodes).runs) selectOf(run, condition, passing);
      return passing;
    },
    survey(nodes) {
      if (isEmpty) return { passing: nodes, refused: [] };
      const passing: NodeSnapshot[] = [];
      const refused = new Map<string, Counted>();
      for (const run of tableOf(nodes).runs) {
        const found = surveyRun(run);
        for (const node of found.passing) passing.push(node);
        for (const part of found.refused) merge(refused, part);
      }
      return { passing, refused: [...refused.values()] };
    },
  };
}
