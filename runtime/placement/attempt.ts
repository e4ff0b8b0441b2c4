import type { PlacementPlan, PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, PlacementError } from '../../sdk/errors.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { BlockView, HookOutput } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost } from '../policy/index.ts';
import { admitted } from './admitted.ts';
import { assertApart } from './apart.ts';
import { type Ask, createAsk } from './ask.ts';
import type { DecisionDraft } from './decision.ts';
import {
  type Candidate,
  type DryRun,
  type DryRunResult,
  dryRunCluster,
  type ScoredCandidate,
} from './dry-run.ts';
import { fanOut } from './fan-out.ts';
import type { ClusterFilter } from './filter/index.ts';
import type { PlacementLedger } from './ledger.ts';
import { type NodeRules, nodeRules } from './node-rules.ts';
import type { ClusterView, PlacementOptions, PlacementRequest } from './placement.ts';
import { explainShortage } from './shortage.ts';
import type { Snapshots } from './snapshot.ts';

/** Ends an attempt with a reason, for people. */
export const refuse = (message: string): never => {
  throw new PlacementError('NO_CANDIDATE', message);
};

export interface Placed {
  readonly plan: PlacementPlan;
  readonly policyUri: string;
  readonly reservationId?: string;
  /** Instances that must end before it can be committed. */
  readonly preempted?: readonly string[];
}

export interface AttemptParts
  extends Required<
    Pick<
      PlacementOptions,
      | 'admits'
      | 'blockTags'
      | 'runs'
      | 'blockPriority'
      | 'startedAtMs'
      | 'fanOutMs'
      | 'reservationTtlMs'
      | 'preemptionTtlMs'
    >
  > {
  readonly host: PolicyHost;
  readonly inventory: PlacementOptions['inventory'];
  readonly ledger: PlacementLedger;
  readonly snapshots: Snapshots;
  /** @throws {SpecError} FILTER_INVALID */
  readonly filterOf: (reference: PolicyReference | undefined) => ClusterFilter;
}

/** A reassignment that its policy does not want. */
const skipped = (reason: string): HookOutput<'resourceAllocator', 'dry_run'> =>
  refuse(`its policy leaves the instance where it is: ${reason}`);

/** One placement of one block, from the filter to the reservation. */
export class Attempt {
  readonly parts: AttemptParts;
  readonly request: PlacementRequest;
  readonly block: BlockView;
  readonly draft: DecisionDraft;
  readonly clusters: readonly ClusterView[];
  readonly ask: Ask;
  readonly #record = (evaluation: PolicyEvaluation): void => {
    this.draft.evaluations.push(evaluation);
  };
  /** Room revisions of the clusters when it began: what was given back since, it may not have seen. */
  readonly rooms: Map<string, number>;
  /** Clusters that policies were asked about. */
  selected: readonly Candidate[] = [];
  byPolicy = false;

  constructor(
    parts: AttemptParts,
    request: PlacementRequest,
    block: BlockView,
    draft: DecisionDraft,
  ) {
    this.parts = parts;
    this.request = request;
    this.block = block;
    this.draft = draft;
    const { clusters, revision } = parts.inventory(request.tenant);
    this.clusters = clusters;
    this.ask = createAsk(parts.host, request, revision);
    this.rooms = new Map(clusters.map(({ spec: { id } }) => [id, this.roomOf(id)]));
  }

  /** Grows when something may fit that did not: where it must run beside others, also when these come. */
  roomOf(clusterId: string): number {
    const account = this.parts.ledger.cluster(clusterId);
    const follows = (this.block.placement?.affinity ?? []).length > 0;
    return follows ? account.revision : account.roomRevision;
  }

  /** What the attempt itself takes and gives back is no news to it. */
  #own<T>(clusterId: string, act: () => T): T {
    const before = this.roomOf(clusterId);
    try {
      return act();
    } finally {
      const own = this.roomOf(clusterId) - before;
      this.rooms.set(clusterId, (this.rooms.get(clusterId) ?? before) + own);
    }
  }

  /** Why the platform does not even ask about a cluster. */
  refusal(view: ClusterView): Misfit | undefined {
    const { onlyClusterId, policies, workload } = this.request;
    const { id, backend } = view.spec;
    if (workload !== undefined && !this.parts.runs(view.spec, workload)) {
      const what = workload === 'container' ? 'container images' : `${workload} workloads`;
      return { refusedBy: `a backend that runs ${what}`, seen: backend };
    }
    if (onlyClusterId !== undefined && onlyClusterId !== id) {
      return { refusedBy: `id == ${onlyClusterId} (the block runs there)`, seen: id };
    }
    const filter = this.parts.filterOf(policies.clusterAllocator);
    return filter({ spec: view.spec, snapshot: this.parts.snapshots.of(view) });
  }

  filter(): readonly Candidate[] {
    return this.clusters.flatMap((view): Candidate[] => {
      const refused = this.refusal(view);
      if (!refused) return [{ view, snapshot: this.parts.snapshots.of(view) }];
      this.draft.refuse(view.spec.id, refused);
      return [];
    });
  }

  async select(candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
    const clusters = candidates.map(({ snapshot }) => snapshot);
    const input = { action: 'selection', block: this.block, clusters } as const;
    const hook = 'clusterAllocator';
    const { output, policyUri } = await this.ask(hook, 'selection', input, this.#record);
    const byId = new Map(candidates.map((candidate) => [candidate.snapshot.id, candidate]));
    const reasons = new Map(output.refused.map(({ clusterId, reason }) => [clusterId, reason]));
    for (const id of byId.keys()) {
      if (output.clusters.includes(id)) continue;
      this.byPolicy = true;
      this.draft.refuse(id, { refusedBy: policyUri, seen: reasons.get(id) ?? 'not selected' });
    }
    return output.clusters.flatMap((id) => byId.get(id) ?? []);
  }

  /** @throws {SpecError} FILTER_INVALID */
  rulesOf = ({ view }: Pick<Candidate, 'view'>): NodeRules => {
    const { filter } = this.request.policies.resourceAllocator?.parameters ?? {};
    const shared = view.spec.policies.resourceAllocator?.parameters.filter;
    return nodeRules(this.block, filter ?? shared);
  };

  tagsOf = (blockId: string): readonly string[] =>
    this.parts.blockTags(this.request.tenant, blockId);

  #dryRunOf(record: (evaluation: PolicyEvaluation) => void): DryRun {
    const { block, request, parts } = this;
    const { instanceIds, reassigned } = request;
    return {
      ...{ block, instanceIds, ledger: parts.ledger, avoid: reassigned?.nodeId },
      tagsOf: this.tagsOf,
      rulesOf: this.rulesOf,
      ask: async ({ view, snapshot }, instances, { nodes, preferences }) => {
        const places = { block, instances, cluster: snapshot, nodes };
        const input = { ...places, ...(preferences ? { nodePreferences: preferences } : {}) };
        const { resourceAllocator: shared } = view.spec.policies;
        const hook = 'resourceAllocator';
        if (reassigned) {
          const { instanceId, reason } = reassigned;
          const asked = { action: 'reassignment', ...input, instanceId, reason } as const;
          const { output, policyUri } = await this.ask(hook, 'reassignment', asked, record, shared);
          return { policyUri, output: 'skip' in output ? skipped(output.reason) : output };
        }
        return request.reason === 'scale'
          ? this.ask(hook, 'scale', { action: 'scale', ...input }, record, shared)
          : this.ask(hook, 'dry_run', { action: 'dry_run', ...input }, record, shared);
      },
    };
  }

  /** All clusters at once, each result under its own cluster whatever order they answer in. */
  async dryRun(selected: readonly Candidate[]): Promise<ScoredCandidate[]> {
    nodeRules(this.block, this.request.policies.resourceAllocator?.parameters.filter);
    const evaluations = new Map<Candidate, PolicyEvaluation[]>();
    const limitMs = this.parts.fanOutMs;
    const results = await fanOut(
      selected,
      limitMs,
      (candidate) => {
        const own: PolicyEvaluation[] = [];
        evaluations.set(candidate, own);
        return dryRunCluster(
          this.#dryRunOf((evaluation) => own.push(evaluation)),
          candidate,
        );
      },
      (candidate): DryRunResult => ({
        ...{ candidate, byPolicy: true },
        refused: { refusedBy: `a dry run within ${limitMs} ms`, seen: 'no answer' },
      }),
    );
    return results.flatMap(({ candidate, refused, table, scored, byPolicy }) => {
      const { id } = candidate.snapshot;
      this.draft.evaluations.push(...(evaluations.get(candidate) ?? []));
      if (table) this.draft.nodes(id, table);
      if (refused) this.draft.refuse(id, refused);
      if (byPolicy) this.byPolicy = true;
      if (!scored) return [];
      this.draft.score(id, scored.offer.score);
      return [scored];
    });
  }

  /** Asks the allocator about the very plan that will be committed. */
  async accepts(candidate: ScoredCandidate): Promise<boolean> {
    const { view, snapshot, nodes, offer, policyUri } = candidate;
    const refuseCluster = (refusedBy: string, seen: string): false => {
      this.byPolicy = true;
      this.draft.refuse(snapshot.id, { refusedBy, seen });
      return false;
    };
    try {
      const { block, request } = this;
      const places = { block, instances: request.instances, cluster: snapshot, nodes };
      const input = { action: 'allocation', ...places, plan: offer } as const;
      const shared = view.spec.policies.resourceAllocator;
      const hook = 'resourceAllocator';
      const { output } = await this.ask(hook, 'allocation', input, this.#record, shared);
      return output.accept || refuseCluster(`allocation of '${policyUri}'`, output.reason);
    } catch (fault) {
      const error = AiosError.from(fault);
      return refuseCluster(`resourceAllocator: ${error.code}`, error.message);
    }
  }

  /** Reserves before the policy is asked for the last time: what it accepts is there. */
  async settle(
    best: ScoredCandidate,
    reserve: boolean,
    preempted: readonly string[] = [],
  ): Promise<Placed | undefined> {
    const { ledger, reservationTtlMs, preemptionTtlMs } = this.parts;
    const { plan, policyUri } = best;
    const ttlMs = preempted.length > 0 ? preemptionTtlMs : reservationTtlMs;
    const placed = { plan, policyUri, ...(preempted.length > 0 ? { preempted } : {}) };
    if (!reserve) return (await this.accepts(best)) ? placed : undefined;
    assertApart(this.block, best, ledger, this.tagsOf);
    const { clusterId } = plan;
    const reservationId = this.#own(clusterId, () => ledger.reserve(plan, ttlMs, preempted));
    if (await this.accepts(best)) return { ...placed, reservationId };
    this.#own(clusterId, () => ledger.cancel(reservationId));
    return undefined;
  }

  async choose(scored: readonly ScoredCandidate[], reserve: boolean): Promise<Placed | undefined> {
    let left = scored;
    while (left.length > 0) {
      const candidates = left.map(({ offer }) => offer);
      const input = { action: 'post_dry_run', block: this.block, candidates } as const;
      const { output } = await this.ask('clusterAllocator', 'post_dry_run', input, this.#record);
      const best = left.find(({ offer }) => offer.clusterId === output.clusterId);
      if (!best) return undefined;
      const placed = await this.settle(best, reserve);
      if (placed) return placed;
      left = left.filter((candidate) => candidate !== best);
    }
    return undefined;
  }

  /** The clusters' scores, or the reason why there are none. */
  async candidates(): Promise<readonly ScoredCandidate[]> {
    const { draft } = this;
    if (this.clusters.length === 0) {
      refuse('there is no cluster. Create one with: aios create-cluster cluster.json');
    }
    draft.restart(this.clusters.map(({ spec }) => spec.id));
    const passing = await admitted(this, this.filter());
    if (passing.length === 0) refuse(`no cluster passes the filter. ${draft.reasons()}.`);
    this.selected = await this.select(passing);
    if (this.selected.length === 0) refuse(`no cluster was selected. ${draft.reasons()}.`);
    return this.dryRun(this.selected);
  }

  refuseAll(): never {
    const { block, request, draft } = this;
    const snapshots = this.selected.map(({ snapshot }) => snapshot);
    const short = explainShortage(snapshots, block.resources, request.instances);
    return refuse(`${short ? short.sentence : `no cluster can hold it. ${draft.reasons()}`}.`);
  }
}
