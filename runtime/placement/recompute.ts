import type { CandidateExplanation } from '../../sdk/client/api.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { resolveResources } from '../../sdk/spec/resources.ts';
import { isMisfit, nodeRules } from './node-rules.ts';
import type { RefusedNode } from './node-survey.ts';
import type { PlacementRequest } from './placement.ts';

type Row = Pick<CandidateExplanation, 'score' | 'refusedBy' | 'seen'>;

/** What the platform looked at while it placed a block: kept with a decision that does not list every candidate. */
export interface PlacementContext {
  readonly block: PlacementRequest['block'];
  readonly policies: Readonly<Record<string, PolicyReference>>;
  readonly clusters: readonly {
    readonly clusterId: string;
    readonly row: Row;
    /** Absent where none was looked at. */
    readonly nodes?: readonly NodeSnapshot[];
    /** The first of those that were refused for what runs on them or beside them. */
    readonly apart: readonly RefusedNode[];
  }[];
}

/** Of the nodes refused for their neighbours, so many are kept with their reasons. */
export const apartKept = 200;
const besideOthers = 'what runs on it, or beside it';

/** What a policy said of the nodes of one cluster that it was asked about. */
export interface PolicyRows {
  readonly asked: readonly NodeSnapshot[];
  readonly output: {
    readonly nodes?: readonly (Row & { readonly nodeId: string })[];
    readonly scores?: readonly number[];
  };
}

/**
 * Every candidate of a decision, one row each: clusters as they were told, nodes refused by the same rules again, and what
 * the policies say of the others.
 *
 * @param policyRows - by cluster id
 * @throws {SpecError} FILTER_INVALID, AMOUNT_MISSING - the rules of then are none any more
 */
export function recomputeCandidates(
  { block, policies, clusters }: PlacementContext,
  policyRows: ReadonlyMap<string, PolicyRows>,
  isChosen: (clusterId: string, nodeId?: string) => boolean,
): readonly CandidateExplanation[] {
  const { resources, error } = resolveResources(block, policies);
  if (error) throw error;
  const rules = nodeRules({ ...block, resources }, policies.resourceAllocator?.parameters.filter);
  const rows: CandidateExplanation[] = [];
  for (const { clusterId, row, nodes = [], apart } of clusters) {
    rows.push({ clusterId, ...row, chosen: isChosen(clusterId) });
    const told = new Map<string, Row>();
    const { asked = [], output = {} } = policyRows.get(clusterId) ?? {};
    for (const [at, { id }] of asked.entries()) {
      const score = output.scores?.[at];
      told.set(id, score === undefined ? {} : { score });
    }
    for (const { nodeId, ...said } of output.nodes ?? []) told.set(nodeId, said);
    for (const { nodeId, refusedBy, seen } of apart) told.set(nodeId, { refusedBy, seen });
    for (const node of nodes) {
      const verdict = rules.judge(node);
      const said: Row = isMisfit(verdict)
        ? { refusedBy: verdict.refusedBy, seen: verdict.seen }
        : (told.get(node.id) ?? (asked.length > 0 ? { refusedBy: besideOthers } : {}));
      rows.push({ clusterId, nodeId: node.id, ...said, chosen: isChosen(clusterId, node.id) });
    }
  }
  return rows;
}
