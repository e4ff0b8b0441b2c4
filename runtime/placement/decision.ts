import { randomUUID } from 'node:crypto';
import type {
  CandidateExplanation,
  Decision,
  PlacementPlan,
  PolicyEvaluation,
} from '../../sdk/client/api.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { PlacementRequest } from './placement.ts';

interface Row extends Partial<Misfit> {
  readonly nodeId?: string;
  score?: number;
}

/** What is written down while a block is placed. */
export class DecisionDraft {
  readonly evaluations: PolicyEvaluation[] = [];
  readonly #request: PlacementRequest;
  readonly #atMs: number;
  readonly #startedMs = performance.now();
  readonly #clusters = new Map<string, { row: Row; nodes: readonly Row[] }>();

  constructor(request: PlacementRequest, atMs: number) {
    this.#request = request;
    this.#atMs = atMs;
  }

  /** Starts the table again; evaluations stay. */
  restart(clusterIds: readonly string[]): void {
    this.#clusters.clear();
    for (const id of clusterIds) this.#clusters.set(id, { row: {}, nodes: [] });
  }

  refuse(clusterId: string, { refusedBy, seen }: Misfit): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.row = { refusedBy, seen };
  }

  score(clusterId: string, score: number): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.row = { score };
  }

  /** @param rows - one a node, in the cluster's order */
  nodes(clusterId: string, rows: readonly Row[]): void {
    const entry = this.#clusters.get(clusterId);
    if (entry) entry.nodes = rows;
  }

  /** Clusters that were refused, and why: for the message. */
  refusals(): readonly string[] {
    return [...this.#clusters].flatMap(([id, { row }]) =>
      row.refusedBy === undefined
        ? []
        : [`'${id}': ${row.refusedBy}${row.seen ? `, seen ${row.seen}` : ''}`],
    );
  }

  finish(outcome: Decision['outcome'], message: string, plan?: PlacementPlan): Decision {
    const { tenant, block, reason } = this.#request;
    const chosenNodes = new Set(plan?.instances.map((instance) => instance.nodeId));
    const candidates: CandidateExplanation[] = [];
    for (const [clusterId, { row, nodes }] of this.#clusters) {
      const chosen = plan?.clusterId === clusterId;
      candidates.push({ clusterId, ...row, chosen });
      for (const node of nodes) {
        const nodeChosen = chosen && node.nodeId !== undefined && chosenNodes.has(node.nodeId);
        candidates.push({ clusterId, ...node, chosen: nodeChosen });
      }
    }
    return {
      id: `decision-${randomUUID()}`,
      tenant,
      blockId: block.id,
      reason,
      outcome,
      message,
      candidates,
      evaluations: this.evaluations,
      ...(plan ? { plan } : {}),
      atMs: this.#atMs,
      durationMs: performance.now() - this.#startedMs,
    };
  }
}
