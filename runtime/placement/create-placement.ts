import { AiosError } from '../../sdk/errors.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { resolveResources } from '../../sdk/spec/resources.ts';
import { Attempt, type AttemptParts, type Placed, refuse } from './attempt.ts';
import { type Awaited, hasChanged } from './awaited.ts';
import { awaitedOf, verdictOf } from './awaited-of.ts';
import { DecisionDraft } from './decision.ts';
import { type ClusterFilter, compileFilter } from './filter/index.ts';
import { createLedger, type PlacementLedger } from './ledger.ts';
import type { Placement, PlacementOptions, PlacementRequest } from './placement.ts';
import { preemptVictims } from './preempt-victims.ts';
import { preferenceNotes } from './preference-notes.ts';
import { possiblePlaces } from './preview.ts';
import { createSnapshots, type Snapshots } from './snapshot.ts';

/**
 * Another placement may take the room between the dry run and the reservation; then everything is looked at anew. Each time
 * somebody got a place, so many that want the same node at once all come through.
 */
const maxAttempts = 50;

/** @throws {SpecError} AMOUNT_MISSING - the documents do not say what an instance needs */
function blockOf({ block, policies }: PlacementRequest): BlockView {
  const { resources, error } = resolveResources(block, policies);
  if (error) throw error;
  return { ...block, resources };
}

/**
 * Creates the placement pipeline and a ledger a tenant. Ledgers start empty: declare clusters with `setCluster`, and
 * `restore` what runs.
 */
export function createPlacement(options: PlacementOptions): Placement {
  const { host, inventory, clock = Date.now } = options;
  const common = {
    ...{ host, inventory },
    reservationTtlMs: options.reservationTtlMs ?? 30_000,
    preemptionTtlMs: options.preemptionTtlMs ?? 120_000,
    fanOutMs: options.fanOutMs ?? 10_000,
    blockTags: options.blockTags ?? (() => []),
    blockPriority: options.blockPriority ?? (() => 0),
    startedAtMs: options.startedAtMs ?? (() => 0),
    admits: options.admits ?? (() => undefined),
    runs: options.runs ?? (() => true),
  };
  const tenants = new Map<
    string,
    { readonly ledger: PlacementLedger; readonly snapshots: Snapshots }
  >();
  /** Documents are read once and stay: their filters are compiled once. */
  const filters = new WeakMap<object, ClusterFilter>();

  function filterOf(reference: PolicyReference | undefined): ClusterFilter {
    const filter = reference?.parameters.filter;
    if (typeof filter !== 'object' || filter === null) return compileFilter(filter);
    const compiled = filters.get(filter) ?? compileFilter(filter);
    filters.set(filter, compiled);
    return compiled;
  }

  function tenantOf(tenant: string) {
    const known = tenants.get(tenant);
    if (known) return known;
    const ledger = createLedger(clock);
    const opened = { ledger, snapshots: createSnapshots(ledger) };
    tenants.set(tenant, opened);
    return opened;
  }

  const attemptOf = (
    request: PlacementRequest,
    block: BlockView,
    draft: DecisionDraft,
  ): Attempt => {
    const parts: AttemptParts = { ...common, ...tenantOf(request.tenant), filterOf };
    return new Attempt(parts, request, block, draft);
  };

  /** @param began - told of each attempt: the last one says what a refusal went by */
  async function run(
    request: PlacementRequest,
    draft: DecisionDraft,
    reserve: boolean,
    began: (attempt: Attempt) => void,
  ): Promise<Placed> {
    const block = blockOf(request);
    if (request.instances < 1 || request.instanceIds.length !== request.instances) {
      refuse(`asks for ${request.instances} instances under ${request.instanceIds.length} ids.`);
    }
    for (let number = 1; ; number += 1) {
      const attempt = attemptOf(request, block, draft);
      began(attempt);
      try {
        const scored = await attempt.candidates();
        const placed = await attempt.choose(scored, reserve);
        return placed ?? (await preemptVictims(attempt, reserve)) ?? attempt.refuseAll();
      } catch (fault) {
        const lost = AiosError.isInstance(fault) && fault.code === 'CAPACITY_LOST';
        if (!lost || number === maxAttempts) throw fault;
      }
    }
  }

  /** Nothing where the documents are at fault: then nothing else can change it. */
  function awaitedNow(attempt: Attempt | undefined): Awaited | undefined {
    try {
      return attempt && awaitedOf(attempt);
    } catch (fault) {
      if (AiosError.from(fault).code === 'FILTER_INVALID') return undefined;
      throw fault;
    }
  }

  async function place(request: PlacementRequest, draft: DecisionDraft, reserve: boolean) {
    const subject = `block '${request.block.id}'`;
    let last: Attempt | undefined;
    try {
      const placed = await run(request, draft, reserve, (attempt) => {
        last = attempt;
      });
      const { plan, policyUri, reservationId, preempted } = placed;
      const nodes = [...new Set(plan.instances.map(({ nodeId }) => nodeId))].join(', ');
      const count = plan.instances.length;
      for (const note of preferenceNotes(request.block, plan, last)) draft.note(note);
      const ends = preempted ? `, in the place of ${preempted.join(', ')}` : '';
      const message = `${subject}: ${count} instance${count === 1 ? '' : 's'} on ${nodes} of cluster '${plan.clusterId}' by '${policyUri}', score ${plan.score.toFixed(2)}${ends}`;
      const decision = draft.finish(reserve ? 'placed' : 'dry-run', message, plan, preempted);
      return {
        decision,
        ...(reservationId === undefined ? {} : { reservationId }),
        ...(preempted ? { preempted } : {}),
      };
    } catch (fault) {
      const { message } = AiosError.from(fault);
      const named = message.startsWith(subject) ? message : `${subject}: ${message}`;
      const awaited = awaitedNow(last);
      const isLost = AiosError.from(fault).code === 'CAPACITY_LOST';
      return {
        decision: draft.finish('refused', named),
        ...(isLost ? { isLost } : awaited ? { awaited } : {}),
      };
    }
  }

  return {
    ledgerOf: (tenant) => tenantOf(tenant).ledger,
    snapshot: (tenant, view) => tenantOf(tenant).snapshots.of(view),
    place: (request, { reserve }) => place(request, new DecisionDraft(request, clock()), reserve),
    hasChanged(request, awaited) {
      const attempt = attemptOf(request, blockOf(request), new DecisionDraft(request, clock()));
      return hasChanged(
        awaited,
        attempt.clusters,
        (clusterId) => attempt.roomOf(clusterId),
        (view) => verdictOf(attempt, view),
      );
    },
    async preview(request, limit = 1000) {
      const draft = new DecisionDraft(request, clock());
      const { decision } = await place(request, draft, false);
      const { resources } = resolveResources(request.block, request.policies);
      if (!resources) {
        return { decision, places: [], counts: { places: 0, nodes: 0, clusters: 0 } };
      }
      const attempt = attemptOf(request, blockOf(request), draft);
      return possiblePlaces(attempt, decision, limit);
    },
  };
}
