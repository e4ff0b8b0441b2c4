import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { PlacementRules } from '../../sdk/spec/common.ts';
import { freezeList } from '../policy/index.ts';
import { createNeighbourRules, type NeighbourRules, type PlacedBlock } from './neighbours.ts';
import type { NodeRules } from './node-rules.ts';
import type { NodeSurvey, RefusedNode } from './node-survey.ts';

/** Nodes that a policy is asked about, and what the block would rather have among them. */
export interface CandidateNodes {
  readonly nodes: readonly NodeSnapshot[];
  /** Refused by what runs on them, or beside them. */
  readonly apart: readonly RefusedNode[];
  /** −1 to 1 by node id; nothing where the block prefers none. */
  readonly preferences?: Readonly<Record<string, number>>;
}

const clip = (value: number): number => Math.max(-1, Math.min(1, value));

export type Beside = Pick<PlacementRules, 'affinity' | 'antiAffinity'>;

/** Rules about other blocks; nothing for a block that has none. */
export function besideOf({ placement }: BlockView): Beside | undefined {
  const { affinity = [], antiAffinity = [] } = placement ?? {};
  return affinity.length + antiAffinity.length > 0 ? { affinity, antiAffinity } : undefined;
}

/** Whether instances of the block must be apart from each other: then they are placed one by one. */
export const repelsItself = ({ id, tags, placement }: BlockView): boolean =>
  (placement?.antiAffinity ?? []).some(
    (rule) =>
      rule.required &&
      ((rule.ids.length === 0 && rule.tags.length === 0) ||
        rule.ids.includes(id) ||
        tags.some((tag) => rule.tags.includes(tag))),
  );

function preferencesOf(
  nodes: readonly NodeSnapshot[],
  rules: NodeRules,
  neighbours?: NeighbourRules,
): Readonly<Record<string, number>> | undefined {
  const prefers = rules.prefers || neighbours?.prefers === true;
  const values: Record<string, number> = {};
  let any = prefers;
  for (const node of nodes) {
    if (!prefers && !node.taints) continue;
    const value = rules.preference(node) + (neighbours?.preference(node) ?? 0);
    if (value === 0) continue;
    any = true;
    values[node.id] = clip(value);
  }
  return any ? values : undefined;
}

/**
 * @param placed - every block with instances on the cluster
 * @param avoid - a node that is out of the question
 */
export function candidateNodes(
  rules: NodeRules,
  { nodes: all, passing, tainted }: NodeSurvey,
  beside: Beside | undefined,
  placed: readonly PlacedBlock[],
  avoid?: string,
): CandidateNodes {
  if (!beside && avoid === undefined) {
    const preferences = tainted || rules.prefers ? preferencesOf(passing, rules) : undefined;
    return { nodes: passing, apart: [], ...(preferences ? { preferences } : {}) };
  }
  const neighbours = beside && createNeighbourRules(beside, all, placed);
  const nodes: NodeSnapshot[] = [];
  const apart: RefusedNode[] = [];
  for (const node of passing) {
    const refused =
      node.id === avoid
        ? { refusedBy: `another node than '${avoid}'`, seen: node.id }
        : neighbours?.refuse(node);
    if (refused) apart.push({ nodeId: node.id, ...refused });
    else nodes.push(node);
  }
  const kept = apart.length === 0 ? passing : freezeList(nodes);
  const preferences = preferencesOf(kept, rules, neighbours);
  return { nodes: kept, apart, ...(preferences ? { preferences } : {}) };
}
