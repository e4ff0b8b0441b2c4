import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { PlacementRules } from '../../sdk/spec/common.ts';

/** A block with an instance on a node. */
export interface PlacedBlock {
  readonly blockId: string;
  readonly tags: readonly string[];
  readonly nodeId: string;
}

type Rule = PlacementRules['affinity'][number];

export interface NeighbourRules {
  refuse(node: NodeSnapshot): Misfit | undefined;
  /** Sum of the weights of what is not required. */
  preference(node: NodeSnapshot): number;
  readonly prefers: boolean;
}

/** The place that counts as one: the node itself, or all nodes of equal metadata. Nothing where a node does not say. */
function placeOf(node: NodeSnapshot, topologyKey: string): string | undefined {
  if (topologyKey === 'node') return node.id;
  const value = node.metadata[topologyKey];
  return value === undefined || value === null ? undefined : String(value);
}

const names = ({ ids, tags }: Rule): string =>
  [...ids, ...tags.map((tag) => `#${tag}`)].join(', ') || 'any block';

const matches = ({ ids, tags }: Rule, { blockId, tags: own }: PlacedBlock): boolean =>
  (ids.length === 0 && tags.length === 0) ||
  ids.includes(blockId) ||
  own.some((tag) => tags.includes(tag));

interface Compiled {
  readonly rule: Rule;
  readonly attracts: boolean;
  /** Places that hold such a block, and one of them. */
  readonly taken: ReadonlyMap<string, string>;
}

/** Affinity and anti-affinity between blocks: which places hold them is looked up once, then each node costs a look-up a rule. */
export function createNeighbourRules(
  { affinity, antiAffinity }: Pick<PlacementRules, 'affinity' | 'antiAffinity'>,
  nodes: readonly NodeSnapshot[],
  placed: readonly PlacedBlock[],
): NeighbourRules {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const compile =
    (attracts: boolean) =>
    (rule: Rule): Compiled => {
      const taken = new Map<string, string>();
      for (const each of placed) {
        const node = byId.get(each.nodeId);
        const place = node && matches(rule, each) ? placeOf(node, rule.topologyKey) : undefined;
        if (place !== undefined) taken.set(place, each.blockId);
      }
      return { rule, attracts, taken };
    };
  const all = [...affinity.map(compile(true)), ...antiAffinity.map(compile(false))];
  const required = all.filter(({ rule }) => rule.required);
  const preferred = all.filter(({ rule }) => !rule.required);

  return {
    prefers: preferred.length > 0,
    refuse(node) {
      for (const { rule, attracts, taken } of required) {
        const place = placeOf(node, rule.topologyKey);
        const found = place === undefined ? undefined : taken.get(place);
        if (attracts === (found !== undefined)) continue;
        const where = rule.topologyKey === 'node' ? 'node' : `${rule.topologyKey}`;
        return attracts
          ? { refusedBy: `on the same ${where} as ${names(rule)}`, seen: place ?? 'not known' }
          : { refusedBy: `no ${names(rule)} on the same ${where}`, seen: String(found) };
      }
      return undefined;
    },
    preference(node) {
      let sum = 0;
      for (const { rule, attracts, taken } of preferred) {
        const place = placeOf(node, rule.topologyKey);
        if (place === undefined || !taken.has(place)) continue;
        sum += attracts ? rule.weight : -rule.weight;
      }
      return sum;
    },
  };
}
