import { randomUUID } from 'node:crypto';
import type {
  CandidateExplanation,
  Decision,
  PlacementPlan,
  PolicyEvaluation,
} from '../../sdk/client/api.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { Misfit } from '../../sdk/fit.ts';
import { allRowsUpTo, CandidateDigest, recordContext } from '../policy/index.ts';
import type { NodeSurvey, RefusedNode } from './node-survey.ts';
import type { PlacementRequest } from './placement.ts';
import { apartKept, type PlacementContext } from './recompute.ts';

interface Row extends Partial<Misfit> {
  readonly score?: number;
}

interface NodeRow extends Row {
  readonly nodeId: string;
}

/** A policy's own words may be in it. */
const maxMessageLength = 4000;

/** What is known of a cluster's nodes: what the platform refused, what the policy said of the others. */
export interface NodeTable {
  readonly survey: NodeSurvey;
  /** Refused by what stands beside them. */
  readonly apart: readonly RefusedNode[];
  /** What the policy was asked about. */
  readonly asked: readonly NodeSnapshot[];
  /** The policy's, of `asked`. */
  readonly scores?: readonly number[] | undefined;
  /** The policy's; goes before `scores`. */
  readonly rows: readonly NodeRow[];
}

interface Entry {
  row: Row;
  nodes: NodeTable | undefined;
}

type Explained = Pick<Decision, 'candidates' | 'candidateCounts'>;
type IsChosen = (clusterId: string, nodeId?: string) => boolean;
/** Node ids. */
type Chosen = ReadonlySet<string>;

const examplesPerCondition = 5;
const nobody: Chosen = new Set();

/** Rows to tell of a cluster: its nodes, or itself where no node was looked at. */
const countOf = (nodes: NodeTable | undefined): number => nodes?.survey.nodes.length ?? 1;

function nodeRows({ survey, apart, asked, scores, rows }: NodeTable): NodeRow[] {
  const byId = new Map<string, NodeRow>();
  for (const [at, { id }] of asked.entries()) {
    const score = scores?.[at];
    if (score !== undefined) byId.set(id, { nodeId: id, score });
  }
  for (const row of rows) byId.set(row.nodeId, row);
  for (const row of apart) byId.set(row.nodeId, row);
  for (const row of survey.refused()) byId.set(row.nodeId, row);
  return survey.nodes.map(({ id }) => byId.get(id) ?? { nodeId: id });
}

type Digest = CandidateDigest<Partial<NodeRow>, string>;

/** Counts thousands of nodes without making a row of each. */
function digestNodes(digest: Digest, clusterId: string, table: NodeTable, chosen: Chosen): void {
  const { survey, apart, asked, scores, rows } = table;
  for (const { refusedBy, count, examples } of survey.conditions(examplesPerCondition)) {
    digest.addRefusals(refusedBy, count, examples, clusterId);
  }
  for (const row of apart) digest.add(row, clusterId);
  const told = new Set(rows.map(({ nodeId }) => nodeId));
  for (const row of rows) digest.add(row, clusterId, chosen.has(row.nodeId));
  if (!scores) return;
  const missing = new Set([...chosen].filter((id) => !told.has(id)));
  const keep = (at: number, nodeId: string): void => {
    if (missing.delete(nodeId)) digest.keep({ nodeId, score: scores[at] ?? 0 }, clusterId);
  };
  digest.addScores(scores, told.size, clusterId, (at) => {
    const nodeId = asked[at]?.id ?? '';
    if (told.has(nodeId)) return undefined;
    if (!chosen.has(nodeId)) return { nodeId, score: scores[at] ?? 0 };
    keep(at, nodeId);
    return undefined;
  });
  // Of equal scores the first were kept, and the policy may have taken another.
  if (missing.size > 0) for (const [at, { id }] of asked.entries()) keep(at, id);
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
function explainBriefly(
  clusters: ReadonlyMap<string, Entry>,
  isChosen: IsChosen,
  chosen: Chosen,
): Explained {
  const digest: Digest = new CandidateDigest();
  for (const [clusterId, { row, nodes }] of clusters) {
    const isIt = isChosen(clusterId);
    if (nodes) digestNodes(digest, clusterId, nodes, isIt ? chosen : nobody);
    else digest.add(row, clusterId, isIt);
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
  readonly #notes: string[] = [];

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

  /** What the policy gave the nodes of a cluster, by node id. */
  scoresOf(clusterId: string): ReadonlyMap<string, number> {
    const nodes = this.#clusters.get(clusterId)?.nodes;
    return new Map(
      (nodes ? nodeRows(nodes) : []).flatMap(({ nodeId, score }) =>
        score === undefined ? [] : [[nodeId, score]],
      ),
    );
  }

  /** Something that people should read beside the reason. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** Why clusters were refused, the first few: for the message. */
  reasons(): string {
    return this.#refusals().slice(0, 5).join('; ');
  }

  #refusals(): readonly string[] {
    return [...this.#clusters].flatMap(([id, { row }]) =>
      row.refusedBy === undefined
        ? []
        : [`'${id}': ${row.refusedBy}${row.seen ? `, seen ${row.seen}` : ''}`.replace(/\.$/, '')],
    );
  }

  /** @param preempted - instances that end for it */
  finish(
    outcome: Decision['outcome'],
    message: string,
    plan?: PlacementPlan,
    preempted?: readonly string[],
  ): Decision {
    const { tenant, block, reason } = this.#request;
    const chosenNodes = new Set(plan?.instances.map((instance) => instance.nodeId));
    const isChosen: IsChosen = (clusterId, nodeId) =>
      plan?.clusterId === clusterId && (nodeId === undefined || chosenNodes.has(nodeId));
    let rows = 0;
    for (const { nodes } of this.#clusters.values()) rows += countOf(nodes);
    const explain = rows <= allRowsUpTo ? explainAll : explainBriefly;
    const decision: Decision = {
      id: `decision-${randomUUID()}`,
      tenant,
      blockId: block.id,
      reason,
      outcome,
      message: [message, ...this.#notes].join(' ').slice(0, maxMessageLength),
      ...explain(this.#clusters, isChosen, chosenNodes),
      evaluations: this.evaluations,
      ...(plan ? { plan } : {}),
      ...(preempted && preempted.length > 0 ? { details: { preempted } } : {}),
      atMs: this.#atMs,
      durationMs: performance.now() - this.#startedMs,
    };
    return rows <= allRowsUpTo ? decision : recordContext(decision, this.#context());
  }

  #context(): PlacementContext {
    const { block, policies } = this.#request;
    const clusters = [...this.#clusters].map(([clusterId, { row, nodes }]) => ({
      ...{ clusterId, row, apart: nodes?.apart.slice(0, apartKept) ?? [] },
      ...(nodes ? { nodes: nodes.survey.nodes } : {}),
    }));
    return { block, policies, clusters };
  }
}
