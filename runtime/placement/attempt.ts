import type { PlacementPlan, PolicyEvaluation } from '../../sdk/client/api.ts';
import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import { AiosError, PlacementError } from '../../sdk/errors.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { BlockView, HookAction, HookInput, HookName } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost } from '../policy/index.ts';
import type { DecisionDraft } from './decision.ts';
import { type Candidate, type DryRun, dryRunCluster, type ScoredCandidate } from './dry-run.ts';
import type { ClusterFilter } from './filter/index.ts';
import type { PlacementLedger } from './ledger.ts';
import { createNodeRules, type NodeRules } from './node-rules.ts';
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
}

export interface AttemptParts {
  readonly host: PolicyHost;
  readonly inventory: PlacementOptions['inventory'];
  readonly ledger: PlacementLedger;
  readonly snapshots: Snapshots;
  readonly blockTags: NonNullable<PlacementOptions['blockTags']>;
  readonly runs: NonNullable<PlacementOptions['runs']>;
  readonly reservationTtlMs: number;
  /** @throws {SpecError} FILTER_INVALID */
  readonly filterOf: (reference: PolicyReference | undefined) => ClusterFilter;
}

/** One placement of one block, from the filter to the reservation. */
export class Attempt {
  readonly parts: AttemptParts;
  readonly request: PlacementRequest;
  readonly block: BlockView;
  readonly draft: DecisionDraft;
  readonly clusters: readonly ClusterView[];
  readonly revision: number;

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
    this.revision = revision;
  }

  async ask<H extends HookName, A extends HookAction<H>>(
    hook: H,
    action: A,
    input: HookInput<H, A>,
    defaults?: PolicyReference,
  ) {
    const { tenant, policies } = this.request;
    const reference = policies[hook];
    try {
      const evaluated = await this.parts.host.evaluate({
        ...{ tenant, hook, action, input },
        ...(reference ? { reference } : {}),
        ...(defaults ? { defaults } : {}),
        useSite: `block/${this.block.id}`,
        inventoryRevision: this.revision,
      });
      this.draft.evaluations.push(evaluated.evaluation);
      return { output: evaluated.output, policyUri: evaluated.evaluation.policyUri };
    } catch (fault) {
      const error = AiosError.from(fault);
      const evaluation = error.details.evaluation as PolicyEvaluation | undefined;
      if (evaluation) this.draft.evaluations.push(evaluation);
      throw error;
    }
  }

  cannotRun({ spec }: ClusterView): Misfit | undefined {
    const { workload } = this.request;
    if (workload === undefined || this.parts.runs(spec, workload)) return undefined;
    const what = workload === 'container' ? 'container images' : `${workload} workloads`;
    return { refusedBy: `a backend that runs ${what}`, seen: spec.backend };
  }

  filter(): readonly Candidate[] {
    const { onlyClusterId, policies } = this.request;
    const filter = this.parts.filterOf(policies.clusterAllocator);
    return this.clusters.flatMap((view): Candidate[] => {
      const snapshot = this.parts.snapshots.of(view);
      const refused =
        this.cannotRun(view) ??
        (onlyClusterId !== undefined && onlyClusterId !== snapshot.id
          ? { refusedBy: `id == ${onlyClusterId} (the block runs there)`, seen: snapshot.id }
          : filter({ spec: view.spec, snapshot }));
      if (!refused) return [{ view, snapshot }];
      this.draft.refuse(snapshot.id, refused);
      return [];
    });
  }

  async select(candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
    const { output, policyUri } = await this.ask('clusterAllocator', 'selection', {
      action: 'selection',
      block: this.block,
      clusters: candidates.map(({ snapshot }) => snapshot),
    });
    const byId = new Map(candidates.map((candidate) => [candidate.snapshot.id, candidate]));
    const reasons = new Map(output.refused.map(({ clusterId, reason }) => [clusterId, reason]));
    for (const id of byId.keys()) {
      if (output.clusters.includes(id)) continue;
      this.draft.refuse(id, { refusedBy: policyUri, seen: reasons.get(id) ?? 'not selected' });
    }
    return output.clusters.flatMap((id) => byId.get(id) ?? []);
  }

  async dryRun(selected: readonly Candidate[]): Promise<ScoredCandidate[]> {
    const { block, draft } = this;
    const { instances, instanceIds } = this.request;
    const run: DryRun = {
      ...{ block, instanceIds, draft, ledger: this.parts.ledger },
      rulesOf: ({ snapshot }) => this.rulesOf(snapshot),
      ask: ({ view, snapshot }, nodes, nodePreferences) => {
        const places = { block, instances, cluster: snapshot, nodes };
        const input = { ...places, ...(nodePreferences ? { nodePreferences } : {}) };
        const { resourceAllocator } = view.spec.policies;
        return this.request.reason === 'scale'
          ? this.ask('resourceAllocator', 'scale', { action: 'scale', ...input }, resourceAllocator)
          : this.ask(
              'resourceAllocator',
              'dry_run',
              { action: 'dry_run', ...input },
              resourceAllocator,
            );
      },
    };
    const scored: ScoredCandidate[] = [];
    for (const candidate of selected) {
      const result = await dryRunCluster(run, candidate);
      if (result) scored.push(result);
    }
    return scored;
  }

  rulesOf(snapshot: ClusterSnapshot): NodeRules {
    const { tenant, policies } = this.request;
    const { ledger, blockTags } = this.parts;
    return createNodeRules(this.block, policies.resourceAllocator, snapshot.nodes, () =>
      ledger
        .entries()
        .flatMap(({ clusterId, blockId, nodeId }) =>
          clusterId === snapshot.id ? [{ blockId, nodeId, tags: blockTags(tenant, blockId) }] : [],
        ),
    );
  }

  /** Asks the allocator about the very plan that will be committed. */
  async accepts({ view, snapshot, nodes, offer, policyUri }: ScoredCandidate): Promise<boolean> {
    const { block } = this;
    const { instances } = this.request;
    const refuseCluster = (refusedBy: string, seen: string): false => {
      this.draft.refuse(snapshot.id, { refusedBy, seen });
      return false;
    };
    try {
      const { output } = await this.ask(
        'resourceAllocator',
        'allocation',
        { action: 'allocation', block, instances, cluster: snapshot, nodes, plan: offer },
        view.spec.policies.resourceAllocator,
      );
      return output.accept || refuseCluster(`allocation of '${policyUri}'`, output.reason);
    } catch (fault) {
      const error = AiosError.from(fault);
      return refuseCluster(`resourceAllocator: ${error.code}`, error.message);
    }
  }

  async choose(scored: readonly ScoredCandidate[], reserve: boolean): Promise<Placed | undefined> {
    const { ledger, reservationTtlMs } = this.parts;
    let left = scored;
    while (left.length > 0) {
      const { output } = await this.ask('clusterAllocator', 'post_dry_run', {
        action: 'post_dry_run',
        block: this.block,
        candidates: left.map(({ offer }) => offer),
      });
      const best = left.find(({ offer }) => offer.clusterId === output.clusterId);
      if (!best) return undefined;
      const { plan, policyUri } = best;
      if (!reserve) {
        if (await this.accepts(best)) return { plan, policyUri };
      } else {
        const reservationId = ledger.reserve(plan, reservationTtlMs);
        if (await this.accepts(best)) return { plan, policyUri, reservationId };
        ledger.cancel(reservationId);
      }
      left = left.filter((candidate) => candidate !== best);
    }
    return undefined;
  }

  async run(reserve: boolean): Promise<Placed> {
    const { draft } = this;
    if (this.clusters.length === 0) {
      refuse('there is no cluster. Create one with: aios create-cluster cluster.json');
    }
    draft.restart(this.clusters.map(({ spec }) => spec.id));
    const reasons = (): string => draft.refusals().slice(0, 5).join('; ');
    const candidates = this.filter();
    if (candidates.length === 0) refuse(`no cluster passes the filter. ${reasons()}.`);
    const selected = await this.select(candidates);
    if (selected.length === 0) refuse(`no cluster was selected. ${reasons()}.`);
    const scored = await this.dryRun(selected);
    const placed = await this.choose(scored, reserve);
    if (placed) return placed;
    const short = explainShortage(
      selected.map(({ snapshot }) => snapshot),
      this.block.resources,
      this.request.instances,
    );
    return refuse(`${short ? short.sentence : `no cluster can hold it. ${reasons()}`}.`);
  }
}
