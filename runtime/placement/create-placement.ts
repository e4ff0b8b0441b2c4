import type { PlacementPlan, PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, PlacementError } from '../../sdk/errors.ts';
import type { BlockView, HookAction, HookInput, HookName } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { resolveResources } from '../../sdk/spec/resources.ts';
import { DecisionDraft } from './decision.ts';
import { type Candidate, type DryRun, dryRunCluster, type ScoredCandidate } from './dry-run.ts';
import { type ClusterFilter, compileFilter } from './filter/index.ts';
import { createLedger } from './ledger.ts';
import type { ClusterView, Placement, PlacementOptions, PlacementRequest } from './placement.ts';
import { explainShortage } from './shortage.ts';
import { createSnapshots } from './snapshot.ts';

/** Another placement may take the room between the dry run and the reservation; then everything is looked at anew. */
const maxAttempts = 3;

/** Ends an attempt with a reason, for people. */
const refuse = (message: string): never => {
  throw new PlacementError('NO_CANDIDATE', message);
};

interface Placed {
  readonly plan: PlacementPlan;
  readonly policyUri: string;
  readonly reservationId?: string;
}

/**
 * Creates the placement pipeline and its ledger. The ledger starts empty: declare clusters with `ledger.setCluster`, and
 * `restore` what runs.
 */
export function createPlacement(options: PlacementOptions): Placement {
  const { host, reservationTtlMs = 30_000, clock = Date.now } = options;
  const ledger = createLedger(clock);
  const snapshots = createSnapshots(ledger);
  /** Documents are read once and stay: their filters are compiled once. */
  const filters = new WeakMap<object, ClusterFilter>();

  function filterOf(reference: PolicyReference | undefined): ClusterFilter {
    const filter = reference?.parameters.filter;
    if (typeof filter !== 'object' || filter === null) return compileFilter(filter);
    const compiled = filters.get(filter) ?? compileFilter(filter);
    filters.set(filter, compiled);
    return compiled;
  }

  /** One placement of one block, from the filter to the reservation. */
  class Attempt {
    readonly request: PlacementRequest;
    readonly block: BlockView;
    readonly draft: DecisionDraft;
    readonly clusters: readonly ClusterView[];
    readonly revision: number;

    constructor(request: PlacementRequest, block: BlockView, draft: DecisionDraft) {
      this.request = request;
      this.block = block;
      this.draft = draft;
      const { clusters, revision } = options.inventory();
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
        const evaluated = await host.evaluate({
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

    filter(): readonly Candidate[] {
      const { onlyClusterId, policies } = this.request;
      const filter = filterOf(policies.clusterAllocator);
      return this.clusters.flatMap((view): Candidate[] => {
        const snapshot = snapshots.of(view);
        const refused =
          onlyClusterId !== undefined && onlyClusterId !== snapshot.id
            ? { refusedBy: `id == ${onlyClusterId} (the block runs there)`, seen: snapshot.id }
            : filter({ spec: view.spec, snapshot });
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
        ...{ block, instanceIds, draft, ledger },
        ask: ({ view, snapshot }, nodes) =>
          this.ask(
            'resourceAllocator',
            'dry_run',
            { action: 'dry_run', block, instances, cluster: snapshot, nodes },
            view.spec.policies.resourceAllocator,
          ),
      };
      const scored: ScoredCandidate[] = [];
      for (const candidate of selected) {
        const result = await dryRunCluster(run, candidate);
        if (result) scored.push(result);
      }
      return scored;
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

    async choose(
      scored: readonly ScoredCandidate[],
      reserve: boolean,
    ): Promise<Placed | undefined> {
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

  async function attempt(
    request: PlacementRequest,
    draft: DecisionDraft,
    reserve: boolean,
  ): Promise<Placed> {
    const { resources, error } = resolveResources(request.block, request.policies);
    if (error) throw error;
    if (request.instances < 1 || request.instanceIds.length !== request.instances) {
      refuse(`asks for ${request.instances} instances under ${request.instanceIds.length} ids.`);
    }
    const block: BlockView = { ...request.block, resources };
    for (let number = 1; ; number += 1) {
      try {
        return await new Attempt(request, block, draft).run(reserve);
      } catch (fault) {
        const lost = AiosError.isInstance(fault) && fault.code === 'CAPACITY_LOST';
        if (!lost || number === maxAttempts) throw fault;
      }
    }
  }

  return {
    ledger,
    snapshot: (view) => snapshots.of(view),
    async place(request, { reserve }) {
      const draft = new DecisionDraft(request, clock());
      const subject = `block '${request.block.id}'`;
      try {
        const { plan, policyUri, reservationId } = await attempt(request, draft, reserve);
        const nodes = [...new Set(plan.instances.map(({ nodeId }) => nodeId))].join(', ');
        const count = plan.instances.length;
        const message = `${subject}: ${count} instance${count === 1 ? '' : 's'} on ${nodes} of cluster '${plan.clusterId}' by '${policyUri}', score ${plan.score.toFixed(2)}`;
        const decision = draft.finish(reserve ? 'placed' : 'dry-run', message, plan);
        return { decision, ...(reservationId === undefined ? {} : { reservationId }) };
      } catch (fault) {
        const { message } = AiosError.from(fault);
        const named = message.startsWith(subject) ? message : `${subject}: ${message}`;
        return { decision: draft.finish('refused', named) };
      }
    },
  };
}
