import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, PlacementError, SpecError } from '../../sdk/errors.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { BlockMetrics } from '../../sdk/metrics.ts';
import { readFilterRule } from '../../sdk/spec/filter-rule.ts';
import type { VdagNode, VdagSpec } from '../../sdk/spec/vdag.ts';
import { compileEntityFilter } from '../placement/index.ts';
import { candidatesOf, type SearchParts } from './search.ts';

export interface AssignParts extends SearchParts {
  /** As policies see it; nothing of a block that is going, or not looked at yet. */
  readonly view: (tenant: string, blockId: string) => BlockView | undefined;
}

/** Node label → block id. */
export type Bindings = ReadonlyMap<string, string>;

const needsBlock = (node: VdagNode): boolean =>
  node.assignment !== undefined && node.blockId === undefined && node.vdagUri === undefined;

async function assignNode(
  parts: AssignParts,
  tenant: string,
  vdagUri: string,
  node: VdagNode,
  path: string,
): Promise<string> {
  const { label: nodeLabel, assignment } = node;
  const subject = `vdag/${vdagUri}`;
  const given = { value: assignment?.parameters ?? {}, path: `${path}.parameters` };
  const rule = readFilterRule(given);
  const kind = rule.matchType.value;
  if (kind !== undefined && kind !== 'block') {
    const problem = {
      path: rule.matchType.path,
      message: 'a node is given a block',
      expected: "'block'",
    };
    throw new SpecError('SPEC_INVALID', `${problem.path}: ${problem.message}.`, {
      problems: [problem],
    });
  }
  const { passes } = compileEntityFilter('block', rule.filter.value, rule.filter.path);
  const candidates = (await candidatesOf(parts, tenant, 'block')).flatMap((found) => {
    const block = passes(found) ? parts.view(tenant, found.id) : undefined;
    const metrics = found.metrics as BlockMetrics | undefined;
    return block ? [{ block, ...(metrics ? { metrics } : {}) }] : [];
  });
  const evaluations: PolicyEvaluation[] = [];
  const record = (outcome: 'answered' | 'refused' | 'failed', message: string) =>
    parts.decisions.record({
      ...{ tenant, kind: 'search', subject, reason: 'request', outcome, evaluations },
      message: `node '${nodeLabel}': ${message}`,
      details: { nodeLabel, candidates: candidates.length },
    });
  const refuse = (why: string): never => {
    record('refused', why);
    throw new PlacementError('NO_CANDIDATE', `vDAG '${vdagUri}' node '${nodeLabel}': ${why}.`, {
      details: { label: nodeLabel },
    });
  };
  if (candidates.length === 0) return refuse('no block passes its filter');
  try {
    const { output, evaluation } = await parts.policies.evaluate({
      ...{ tenant, hook: 'assignment' as const, action: 'assign' as const },
      reference: {
        ...assignment,
        parameters: rule.parameters,
        settings: assignment?.settings ?? {},
      },
      input: { action: 'assign', vdagUri, nodeLabel, candidates },
      useSite: `${subject}/${nodeLabel}`,
      inventoryRevision: parts.inventory.revision,
    });
    evaluations.push(evaluation);
    if ('refused' in output) return refuse(output.refused);
    record(
      'answered',
      `block '${output.blockId}' of ${candidates.length} by '${evaluation.policyUri}'`,
    );
    return output.blockId;
  } catch (fault) {
    const error = AiosError.from(fault);
    if (error.code === 'NO_CANDIDATE') throw error;
    const evaluation = error.details.evaluation as PolicyEvaluation | undefined;
    if (evaluation) evaluations.push(evaluation);
    record('failed', error.message);
    throw error;
  }
}

/**
 * Gives each node with an assignment policy exactly one block. Nodes that name a block or a vDAG stay as they are.
 *
 * @throws {AiosError} NO_CANDIDATE - no block passes, or the policy refuses; FILTER_INVALID; what the policy failed with
 */
export async function assignBlocks(
  parts: AssignParts,
  tenant: string,
  { uri, nodes }: Pick<VdagSpec, 'uri' | 'nodes'>,
): Promise<Bindings> {
  const bindings = new Map<string, string>();
  for (const [index, node] of nodes.entries()) {
    if (!needsBlock(node)) continue;
    const path = `$.nodes[${index}].assignment`;
    bindings.set(node.label, await assignNode(parts, tenant, uri, node, path));
  }
  return bindings;
}

/** The vDAG with its blocks written in. */
export const bind = (vdag: VdagSpec, bindings: Bindings): VdagSpec =>
  bindings.size === 0
    ? vdag
    : {
        ...vdag,
        nodes: vdag.nodes.map((node) => {
          const blockId = needsBlock(node) ? bindings.get(node.label) : undefined;
          return blockId === undefined
            ? node
            : { ...node, blockId: blockId as NonNullable<VdagNode['blockId']> };
        }),
      };
