import { randomUUID } from 'node:crypto';
import type {
  CandidateExplanation,
  Decision,
  PlacementPlan,
  PolicyEvaluation,
} from '../../sdk/client/api.ts';
import type { Misfit } from '../../sdk/fit.ts';
import { allRowsUpTo, CandidateDigest } from '../policy/index.ts';
import type { PlacementRequest } from './placement.ts';

interface Row extends Partial<Misfit> {
  readonly score?: number;
}

export interface NodeRow extends Row {
  readonly nodeId: string;
}

/** A policy's own words may be in it. */
const maxMessageLength = 4000;

/** What is known of a cluster's nodes: what the platform refused, what the policy said of the others. */
export interface NodeTable {
  readonly nodeIds: readonly { readonly id: string }[];
  readonly refused: ReadonlyMap<string, NodeRow>;
  readonly judged: readonly NodeRow[];
}

interface Entry {
  row: Row;
  nodes: NodeTable | undefined;
}

type Explained = Pick<Decision, 'candidates' | 'candidateCounts'>;
type IsChosen = (clusterId: string, nodeId?: string) => boolean;

/** Rows to tell of a cluster: its nodes, or itself where no node was looked at. */
const countOf = (nodes: NodeTable | undefined): number => nodes?.nodeIds.length ?? 1;

function nodeRows({ nodeIds, refused, judged }: NodeTable): NodeRow[] {
  const byId = new Map(judged.map((row) => [row.nodeId, row]));
  return nodeIds.map(({ id }) => refused.get(id) ?? byId.get(id) ?? { nodeId: id });
}

function explainAll(clusters: ReadonlyMap<string, Entry>, isChosen: IsChosen): Explained {
  const candidates: CandidateExplanation[] = [];
  for (const [clusterId, { row, nodes }] of clusters) {
    candidates.push({ clusterId, ...row, chosen: isChosen(clusterId) });
    for (const node of nodes ? nodeRows(nodes) : []) {
      candidates.push({ clusterId, ...node, chosen: isChosen(clusterId, node.nodeId) });
    }
  }
  return { candidates };
}

/** Of many: the telling rows, each under its cluster's, and counts over all. */
function explainBriefly(clusters: ReadonlyMap<string, Entry>, isChosen: IsChosen): Explained {
  const digest = new CandidateDigest<Partial<NodeRow>, string>();
  for (const [clusterId, { row, nodes }] of clusters) {
    if (!nodes) {
      digest.add(row, clusterId, isChosen(clusterId));
      continue;
    }
    const add = (node: NodeRow): void =>
      digest.add(node, clusterId, isChosen(clusterId, node.nodeId));
    for (const node of nodes.refused.values()) add(node);
    for (const node of nodes.judged) if (!nodes.refused.has(node.nodeId)) add(node);
  }
  const kept = new Map<string, NodeRow[]>();
  for (const { row, of } of digest.rows()) {
    const rows = kept.get(of) ?? [];
    kept.set(of, rows);
    const { nodeId } = row;
    if (nodeId !== undefined) rows.push({ ...row, nodeId });
  }
  const candidates: CandidateExplanation[] = [];
  for (const [clusterId, rows] of kept) {
    candidates.push({ clusterId, ...clusters.get(clusterId)?.row, chosen: isChosen(clusterId) });
    for (const row of rows) {
      candidates.push({ clusterId, ...row, chosen: isChosen(clusterId, row.nodeId) });
    }
  }
  const total = [...clusters.values()].reduce((sum, { nodes }) => sum + countOf(nodes), 0);
  return { candidates, candidateCounts: { ...digest.counts(), total } };
}

/** What is written down while a block is placed. */
export class DecisionDraft {
  readonly evaluations: PolicyEvaluation[] = [];
  readonly #request: PlacementRequest;
  readonly #atMs: number;
  readonly #startedMs = performance.now();
  readonly #clusters = new Map<string, Entry>();

  constructor(request: PlacementRequest, atMs: number) {
    this.#request = request;
    this.#atMs = atMs;
  }

  /** Starts the table again; evaluations stay. */
  restart(clusterIds: readonly string[]): void {
    this.#clusters.clear();
    for (const id of clusterIds) this.#clusters.set(id, { row: {}, nodes: undefined });
  }

  refuse(clusterId: string, { refusedBy, seen }: Misfit): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.row = { refusedBy, seen };
  }

  score(clusterId: string, score: number): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.row = { score };
  }

  nodes(clusterId: string, table: NodeTable): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.nodes = table;
  }

  /** Clusters that were refused, and why: for the message. */
  refusals(): readonly string[] {
    return [...this.#clusters].flatMap(([id, { row }]) =>
      row.refusedBy === undefined
        ? []
        : [`'${id}': ${row.refusedBy}${row.seen ? `, seen ${row.seen}` : ''}`.replace(/\.$/, '')],
    );
  }

  finish(outcome: Decision['outcome'], message: string, plan?: PlacementPlan): Decision {
    const { tenant, block, reason } = this.#request;
    const chosenNodes = new Set(plan?.instances.map((instance) => instance.nodeId));
    const isChosen: IsChosen = (clusterId, nodeId) =>
      plan?.clusterId === clusterId && (nodeId === undefined || chosenNodes.has(nodeId));
    let rows = 0;
    for (const { nodes } of this.#clusters.values()) rows += countOf(nodes);
    const explain = rows <= allRowsUpTo ? explainAll : explainBriefly;
    return {
      id: `decision-${randomUUID()}`,
      tenant,
      blockId: block.id,
      reason,
      outcome,
      message: message.slice(0, maxMessageLength),
      ...explain(this.#clusters, isChosen),
      evaluations: this.evaluations,
      ...(plan ? { plan } : {}),
      atMs: this.#atMs,
      durationMs: performance.now() - this.#startedMs,
    };
  }
}
