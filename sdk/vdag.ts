import type { z } from 'zod';
import { topologicalOrder } from './graph.ts';
import type { VdagUri } from './ids.ts';
import type { policyReference } from './spec/common.ts';
import { readDocument } from './spec/index.ts';
import type { VdagSpec } from './spec/vdag.ts';

export { findCycle, graphEnds, type LabelledGraph, topologicalOrder } from './graph.ts';

type Reference = z.input<typeof policyReference>;

interface NodeOptions {
  /** Given to the node's policies. */
  readonly modelParameters?: Readonly<Record<string, unknown>>;
  readonly preprocessing?: Reference;
  readonly postprocessing?: Reference;
}

/** What runs at a node: a block by id, a nested vDAG by URI, or the block that a policy picks. */
export type VdagNodeDefinition = NodeOptions &
  (
    | { readonly block: string; readonly vdag?: never; readonly assignment?: never }
    | { readonly vdag: string; readonly block?: never; readonly assignment?: never }
    | { readonly assignment: Reference; readonly block?: never; readonly vdag?: never }
  );

export interface VdagEdgeDefinition<Label extends string> {
  readonly from: Label;
  readonly to: Label;
  /** Fields of the output that are handed on. Absent: all. */
  readonly outputNames?: readonly string[];
}

export interface VdagDefinition<Nodes extends Readonly<Record<string, VdagNodeDefinition>>> {
  readonly name: string;
  /** Opaque: never ordered or compared. */
  readonly version: string;
  /** @default 'stable' */
  readonly releaseTag?: string;
  /** By label. */
  readonly nodes: Nodes;
  /** Pairs of labels, or objects that also name fields. */
  readonly edges?: readonly (
    | readonly [from: keyof Nodes & string, to: keyof Nodes & string]
    | VdagEdgeDefinition<keyof Nodes & string>
  )[];
  readonly tags?: readonly string[];
}

/** A checked, frozen vDAG; `spec` is its document. */
export interface Vdag<Label extends string = string> {
  readonly type: 'vdag';
  readonly uri: VdagUri;
  readonly labels: readonly Label[];
  readonly spec: VdagSpec;
}

function isPair<Label extends string>(
  edge: readonly [Label, Label] | VdagEdgeDefinition<Label>,
): edge is readonly [Label, Label] {
  return Array.isArray(edge);
}

/**
 * Defines a vDAG: a graph whose nodes are blocks or vDAGs, run as one request.
 *
 * @example
 * export default defineVdag({
 *   name: 'pose', version: '1.0.0',
 *   nodes: { detect: { block: 'detector' }, track: { block: 'tracker' } },
 *   edges: [['detect', 'track']],
 * });
 * @throws {VdagError} VDAG_CYCLE - details.path; VDAG_NODE_UNBOUND - an edge names no node
 * @throws {SpecError} SPEC_INVALID - with every problem
 */
export function defineVdag<const Nodes extends Readonly<Record<string, VdagNodeDefinition>>>(
  definition: VdagDefinition<Nodes>,
): Vdag<keyof Nodes & string> {
  const { name, version, releaseTag = 'stable', tags = [] } = definition;
  const nodes = Object.entries(definition.nodes).map(
    ([label, { block: blockId, vdag: vdagUri, ...rest }]) => ({ label, blockId, vdagUri, ...rest }),
  );
  const edges = (definition.edges ?? []).map((edge) =>
    isPair(edge) ? { from: edge[0], to: edge[1] } : edge,
  );
  topologicalOrder({ nodes, edges });
  const { value } = readDocument('vdag', { name, version, releaseTag, nodes, edges, tags });
  return Object.freeze({
    type: 'vdag' as const,
    uri: value.uri,
    labels: Object.freeze(Object.keys(definition.nodes)),
    spec: Object.freeze(value),
  });
}
