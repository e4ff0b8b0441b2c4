import type { NodeSnapshot, Taint } from '../../sdk/cluster.ts';
import { type Misfit, misfit } from '../../sdk/fit.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import { memoFrozen } from '../../sdk/memo.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { deepFreeze } from '../policy/index.ts';
import { compileNodeFilter, type NodeFilter } from './filter/index.ts';
import { createNeighbourRules, type NeighbourRules, type PlacedBlock } from './neighbours.ts';

/** What the platform asks of a node before any policy does. */
export interface NodeRules {
  /** The first rule that a node breaks, and the value seen. */
  refuse(node: NodeSnapshot): Misfit | undefined;
  /** The node as policies see it: with the devices that the block may have. The same object while nothing changes. */
  view(node: NodeSnapshot): NodeSnapshot;
  /** −1 to 1 by node id, from preferred affinities; nothing where the block has none. */
  preferences(nodes: readonly NodeSnapshot[]): Readonly<Record<string, number>> | undefined;
}

const everything = compileNodeFilter(undefined);
/** Documents are read once and stay: their filters are compiled once. */
const compiled = new WeakMap<object, NodeFilter>();

function filterOf(filter: unknown, path: string): NodeFilter {
  if (typeof filter !== 'object' || filter === null) return everything;
  const known = compiled.get(filter) ?? compileNodeFilter(filter, path, 'node');
  compiled.set(filter, known);
  return known;
}

/** Devices that a filter lets through; a view is remembered by filter and node. */
const views = new WeakMap<NodeFilter, (node: NodeSnapshot) => NodeSnapshot>();

function viewThrough(filter: NodeFilter): (node: NodeSnapshot) => NodeSnapshot {
  const known =
    views.get(filter) ??
    memoFrozen((node: NodeSnapshot) => {
      const gpus = filter.devices(node);
      return gpus.length === node.gpus.length ? node : deepFreeze({ ...node, gpus });
    });
  views.set(filter, known);
  return known;
}

type Tolerations = NonNullable<BlockView['placement']>['tolerations'];

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

const clip = (value: number): number => Math.max(-1, Math.min(1, value));

/**
 * @param placed - every block that has instances on the cluster, for affinity between blocks
 * @throws {SpecError} FILTER_INVALID
 */
export function createNodeRules(
  block: BlockView,
  allocator: PolicyReference | undefined,
  nodes: readonly NodeSnapshot[],
  placed: () => readonly PlacedBlock[],
): NodeRules {
  const {
    nodeAffinity,
    affinity = [],
    antiAffinity = [],
    tolerations = [],
  } = block.placement ?? {};
  const required = [
    filterOf(nodeAffinity?.required, '$.placement.nodeAffinity.required'),
    filterOf(allocator?.parameters.filter, '$.policies.resourceAllocator.parameters.filter'),
  ].filter((filter) => !filter.isEmpty);
  const preferred = (nodeAffinity?.preferred ?? []).map(({ weight, filter }, at) => ({
    weight,
    passes: filterOf(filter, `$.placement.nodeAffinity.preferred[${at}].filter`).passes,
  }));
  const neighbours: NeighbourRules | undefined =
    affinity.length + antiAffinity.length > 0
      ? createNeighbourRules({ affinity, antiAffinity }, nodes, placed())
      : undefined;
  const seen = required.map(viewThrough);
  const view = (node: NodeSnapshot): NodeSnapshot =>
    seen.reduce((through, next) => next(through), node);
  const prefers = preferred.length > 0 || neighbours?.prefers === true;

  function refuse(node: NodeSnapshot): Misfit | undefined {
    if (!node.healthy) return { refusedBy: 'healthy', seen: 'not ready' };
    const taint = node.taints && tainted(node, tolerations);
    if (taint) return taint;
    for (const filter of required) {
      const refused = filter.test(node);
      if (refused) return refused;
    }
    return neighbours?.refuse(node) ?? misfit(view(node), block.resources);
  }

  return {
    refuse,
    view,
    preferences(candidates) {
      const values: Record<string, number> = {};
      let any = prefers;
      for (const node of candidates) {
        let value = node.taints ? softTaint(node, tolerations) : 0;
        for (const { weight, passes } of preferred) if (passes(node)) value += weight;
        value += neighbours?.preference(node) ?? 0;
        if (value === 0) continue;
        any = true;
        values[node.id] = clip(value);
      }
      return any ? values : undefined;
    },
  };
}
