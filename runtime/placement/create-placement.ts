import { AiosError } from '../../sdk/errors.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { resolveResources } from '../../sdk/spec/resources.ts';
import { Attempt, type AttemptParts, type Placed, refuse } from './attempt.ts';
import { DecisionDraft } from './decision.ts';
import { type ClusterFilter, compileFilter } from './filter/index.ts';
import { createLedger, type PlacementLedger } from './ledger.ts';
import type { Placement, PlacementOptions, PlacementRequest } from './placement.ts';
import { createSnapshots, type Snapshots } from './snapshot.ts';

/** Another placement may take the room between the dry run and the reservation; then everything is looked at anew. */
const maxAttempts = 3;

/**
 * Creates the placement pipeline and a ledger a tenant. Ledgers start empty: declare clusters with `setCluster`, and
 * `restore` what runs.
 */
export function createPlacement(options: PlacementOptions): Placement {
  const { host, reservationTtlMs = 30_000, clock = Date.now, blockTags = () => [] } = options;
  const { runs = () => true } = options;
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

  function partsOf(tenant: string) {
    const known = tenants.get(tenant);
    if (known) return known;
    const ledger = createLedger(clock);
    const opened = { ledger, snapshots: createSnapshots(ledger) };
    tenants.set(tenant, opened);
    return opened;
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
    const { inventory } = options;
    const parts: AttemptParts = {
      ...{ host, inventory, blockTags, runs, reservationTtlMs, filterOf },
      ...partsOf(request.tenant),
    };
    for (let number = 1; ; number += 1) {
      try {
        return await new Attempt(parts, request, block, draft).run(reserve);
      } catch (fault) {
        const lost = AiosError.isInstance(fault) && fault.code === 'CAPACITY_LOST';
        if (!lost || number === maxAttempts) throw fault;
      }
    }
  }

  return {
    ledgerOf: (tenant) => partsOf(tenant).ledger,
    snapshot: (tenant, view) => partsOf(tenant).snapshots.of(view),
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
