import type { NodeSnapshot, Taint } from '../../sdk/cluster.ts';
import { type Misfit, misfit } from '../../sdk/fit.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import { memoFrozen } from '../../sdk/memo.ts';
import type { PlacementRules, ResourceAmounts } from '../../sdk/spec/common.ts';
import { deepFreeze, isDeeplyFrozen } from '../policy/index.ts';
import { compileNodeFilter, type NodeFilter } from './filter/index.ts';

/** What the platform asks of a node before any policy does, as far as the node alone answers it. */
export interface NodeRules {
  /** The node as policies see it, with the devices that the block may have; or the first rule that it breaks. */
  judge(node: NodeSnapshot): NodeSnapshot | Misfit;
  /** The rules of `judge` but for the amounts: nothing for a node that the block may be on. */
  forbids(node: NodeSnapshot): Misfit | undefined;
  /** Sum of the weights of the preferred filters that it passes; below zero where it would rather be left alone. */
  preference(node: NodeSnapshot): number;
  /** Whether a node can be preferred for what it is, beside its taints. */
  readonly prefers: boolean;
  /** A refusal may come from what was measured. */
  readonly readsMeasured: boolean;
}

export const isMisfit = (verdict: NodeSnapshot | Misfit): verdict is Misfit =>
  'refusedBy' in verdict;

const everything = compileNodeFilter(undefined);

function filterOf(filter: unknown, path: string): NodeFilter {
  if (typeof filter !== 'object' || filter === null) return everything;
  return compileNodeFilter(filter, path, 'node');
}

/** The node with the devices that a filter lets through. */
const viewThrough = (filter: NodeFilter): ((node: NodeSnapshot) => NodeSnapshot) =>
  memoFrozen((node: NodeSnapshot) => {
    const gpus = filter.devices(node);
    return gpus.length === node.gpus.length ? node : deepFreeze({ ...node, gpus });
  });

type Tolerations = PlacementRules['tolerations'];

const tolerated = ({ key, value }: Taint, tolerations: Tolerations): boolean =>
  tolerations.some(
    (each) =>
      (each.key === undefined || each.key === key) &&
      (each.value === undefined || each.value === value),
  );

function tainted(node: NodeSnapshot, tolerations: Tolerations): Misfit | undefined {
  const taint = node.taints?.find(
    (each) => each.effect === 'no-schedule' && !tolerated(each, tolerations),
  );
  if (!taint) return undefined;
  const name = taint.value === '' ? taint.key : `${taint.key}=${taint.value}`;
  return { refusedBy: `a toleration of the taint '${name}'`, seen: 'none' };
}

/** A node that would rather be left alone comes after every other that fits. */
const softTaint = (node: NodeSnapshot, tolerations: Tolerations): number =>
  node.taints?.some((each) => each.effect === 'prefer-no-schedule' && !tolerated(each, tolerations))
    ? -1
    : 0;

interface Asked {
  readonly resources: ResourceAmounts;
  readonly nodeAffinity: PlacementRules['nodeAffinity'];
  readonly tolerations: Tolerations;
  readonly filter: unknown;
}

const measuredNames = /measured|[mM]etricsQuery|load|util|temperature|power|free|used/i;

function compile({ resources, nodeAffinity, tolerations, filter }: Asked): NodeRules {
  const required = [
    filterOf(nodeAffinity?.required, '$.placement.nodeAffinity.required'),
    filterOf(filter, '$.policies.resourceAllocator.parameters.filter'),
  ].filter((each) => !each.isEmpty);
  const preferred = (nodeAffinity?.preferred ?? []).map((each, at) => ({
    weight: each.weight,
    passes: filterOf(each.filter, `$.placement.nodeAffinity.preferred[${at}].filter`).passes,
  }));
  const views = required.map(viewThrough);
  const view = (node: NodeSnapshot): NodeSnapshot =>
    views.reduce((through, next) => next(through), node);

  function forbids(node: NodeSnapshot): Misfit | undefined {
    if (!node.healthy) return { refusedBy: 'healthy', seen: 'not ready' };
    const taint = node.taints && tainted(node, tolerations);
    if (taint) return taint;
    for (const each of required) {
      const refused = each.test(node);
      if (refused) return refused;
    }
    return undefined;
  }

  return {
    forbids,
    judge(node) {
      const refused = forbids(node);
      if (refused) return refused;
      const seen = view(node);
      return misfit(seen, resources) ?? seen;
    },
    preference(node) {
      let value = node.taints ? softTaint(node, tolerations) : 0;
      for (const { weight, passes } of preferred) if (passes(node)) value += weight;
      return value;
    },
    prefers: preferred.length > 0,
    // A device's free memory is what is measured, where something measures it.
    readsMeasured:
      resources.gpus.length > 0 || required.some(({ text }) => measuredNames.test(text)),
  };
}

const kept = 128;
/** By what is asked: the many blocks of one kind, and each block time and again, ask the same. */
const known = new Map<string, NodeRules>();

interface Answered {
  readonly placement: BlockView['placement'];
  readonly filter: unknown;
  readonly rules: NodeRules;
}

/** By the amounts of a block that was asked about before: the same frozen objects ask the same. */
const answered = new WeakMap<object, Answered>();

function rulesOf(asked: Asked): NodeRules {
  const text = JSON.stringify(asked);
  const before = known.get(text);
  const rules = before ?? compile(asked);
  // The oldest goes first: what is asked again becomes the newest.
  if (before) known.delete(text);
  known.set(text, rules);
  for (const oldest of known.keys()) {
    if (known.size <= kept) break;
    known.delete(oldest);
  }
  return rules;
}

/**
 * @param filter - the resource allocator's own conditions
 * @throws {SpecError} FILTER_INVALID
 */
export function nodeRules(block: BlockView, filter: unknown): NodeRules {
  const { resources, placement } = block;
  const last = answered.get(resources);
  if (last && last.placement === placement && last.filter === filter) return last.rules;
  const { nodeAffinity, tolerations = [] } = placement ?? {};
  const rules = rulesOf({ resources, nodeAffinity, tolerations, filter });
  const fixed = [resources, placement, filter].every(
    (each) => typeof each !== 'object' || each === null || isDeeplyFrozen(each),
  );
  if (fixed) answered.set(resources, { placement, filter, rules });
  return rules;
}
