import { VdagError } from '../../sdk/errors.ts';
import { graphEnds, topologicalOrder } from '../../sdk/graph.ts';
import type { VdagNode, VdagSpec } from '../../sdk/spec/vdag.ts';

/** Where one of a node's inputs comes from; no names means the whole output. */
export interface CompiledInput {
  readonly from: string;
  readonly outputNames: readonly string[];
}

export interface CompiledNode {
  readonly node: VdagNode;
  readonly inputs: readonly CompiledInput[];
}

/** A vDAG's nodes so that each comes after all it reads from. */
export interface CompiledGraph {
  readonly nodes: readonly CompiledNode[];
  /** Labels whose output is the answer. */
  readonly tails: readonly string[];
}

/**
 * Checks a graph and puts it in the order it runs in. O(nodes + edges).
 *
 * @throws {VdagError} VDAG_CYCLE; VDAG_NODE_UNBOUND - an edge or a node names nothing that can run;
 * UNSUPPORTED - a node asks for policies that this release does not run
 */
export function compileGraph(vdag: VdagSpec): CompiledGraph {
  const nodes = new Map(vdag.nodes.map((node) => [node.label, node]));
  const inputs = new Map<string, Map<string, readonly string[]>>();
  for (const { from, to, outputNames } of vdag.edges) {
    const sources = inputs.get(to) ?? new Map<string, readonly string[]>();
    const names = sources.get(from);
    // Two edges between the same nodes carry what either names; one that names nothing carries all.
    const whole = outputNames.length === 0 || names?.length === 0;
    sources.set(from, whole ? [] : [...new Set([...(names ?? []), ...outputNames])]);
    inputs.set(to, sources);
  }
  return {
    nodes: topologicalOrder(vdag).map((label) => ({
      node: checkNode(vdag.uri, label, nodes.get(label)),
      inputs: [...(inputs.get(label) ?? [])].map(([from, outputNames]) => ({ from, outputNames })),
    })),
    tails: graphEnds(vdag).tails,
  };
}

function checkNode(uri: string, label: string, node: VdagNode | undefined): VdagNode {
  if (!node || (node.blockId === undefined) === (node.vdagUri === undefined)) {
    throw new VdagError(
      'VDAG_NODE_UNBOUND',
      `vDAG '${uri}' node '${label}' must name either a block (blockId) or a vDAG (vdagUri).`,
      { details: { label } },
    );
  }
  for (const hook of ['preprocessing', 'postprocessing'] as const) {
    const policy = node[hook]?.policyRuleURI;
    if (policy !== undefined) {
      throw new VdagError(
        'UNSUPPORTED',
        `vDAG '${uri}' node '${label}': ${hook} policies ('${policy}') do not run yet. Remove it, or do its work in the block.`,
        { details: { label } },
      );
    }
  }
  return node;
}

/**
 * @returns what a node is given: the request at a head, the one upstream's output, or an object of outputs by upstream label
 * @throws {VdagError} PROTOCOL_MISMATCH - an edge names a field that the upstream's output lacks
 */
export function joinInputs(
  inputs: readonly CompiledInput[],
  request: unknown,
  outputs: ReadonlyMap<string, unknown>,
): unknown {
  if (inputs.length === 0) return request;
  const selected = inputs.map(
    ({ from, outputNames }) => [from, selectFields(from, outputs.get(from), outputNames)] as const,
  );
  return selected.length === 1 ? selected[0]?.[1] : Object.fromEntries(selected);
}

function selectFields(from: string, output: unknown, names: readonly string[]): unknown {
  if (names.length === 0) return output;
  const fields: Readonly<Record<string, unknown>> =
    typeof output === 'object' && output !== null ? { ...output } : {};
  const missing = names.filter((name) => !Object.hasOwn(fields, name));
  if (missing.length > 0) {
    const seen = Object.keys(fields).slice(0, 10).join(', ') || typeof output;
    throw new VdagError(
      'PROTOCOL_MISMATCH',
      `the output of '${from}' has no ${missing.map((name) => `'${name}'`).join(', ')} (it has: ${seen}). Correct outputNames on the edge.`,
      { details: { from, missing } },
    );
  }
  return Object.fromEntries(names.map((name) => [name, fields[name]]));
}
