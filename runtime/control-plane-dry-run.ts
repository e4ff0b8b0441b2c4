import { randomUUID } from 'node:crypto';
import type { Decision, PlacementPreview } from '../sdk/client/api.ts';
import { resolveResources } from '../sdk/spec/index.ts';
import {
  type BlockManager,
  refuseUnrunnable,
  resolvePolicies,
  resolveWorkload,
} from './block/index.ts';
import type { Controls } from './create-controls.ts';
import type { Inventory } from './metrics/index.ts';
import type { Placement, PlacementRequest } from './placement/index.ts';
import { type Registry, whyNotRunnable } from './registry/index.ts';

interface DryRunParts {
  readonly inventory: Inventory;
  readonly placement: Placement;
  readonly registry: Registry;
  readonly blocks: BlockManager;
  readonly controls: Pick<Controls, 'expand' | 'wouldAdmit'>;
}

export interface DryRuns {
  dryRun(tenant: string, raw: unknown): Promise<Decision>;
  preview(tenant: string, raw: unknown): Promise<PlacementPreview>;
}

/** Where a block would go: everything but the block itself is stored or asked as if it were created. */
export function createDryRuns(parts: DryRunParts): DryRuns {
  const { inventory, placement, registry, blocks, controls } = parts;

  /** What placing it would ask, or the refusal of one that cannot run anywhere. */
  async function requestOf(tenant: string, raw: unknown): Promise<PlacementRequest | Decision> {
    const document = await controls.expand(tenant, 'block', raw);
    const { spec: written } = await registry.read(tenant, 'block', document);
    const verdict = await controls.wouldAdmit(tenant, written);
    if (!verdict.allowed) {
      const { policyUri, level, reason } = verdict;
      return {
        ...{ id: `decision-${randomUUID()}`, tenant, blockId: written.id, reason: 'dry-run' },
        ...{ outcome: 'refused', candidates: [], evaluations: [], atMs: Date.now(), durationMs: 0 },
        message: `block '${written.id}' is refused by the ${level}'s pre-check '${policyUri}': ${reason.replace(/\.$/, '')}.`,
      };
    }
    const { spec } =
      verdict.input === undefined
        ? { spec: written }
        : await registry.read(tenant, 'block', verdict.input);
    const component = await registry.require(tenant, 'component', spec.componentUri);
    const fault = whyNotRunnable(component.value);
    if (fault) return refuseUnrunnable(tenant, spec, fault, inventory.clusters(tenant));
    const workload = resolveWorkload(spec, component.value);
    const policies = resolvePolicies(spec, component.value);
    const { resources } = resolveResources(spec, policies, component.value.metadata);
    const { id, componentUri, minInstances, maxInstances, tags, priority, placement } = spec;
    const count = Math.max(1, minInstances);
    return {
      tenant,
      block: {
        ...{ id, componentUri, tenant, minInstances, maxInstances, tags, instances: [] },
        ...(resources ? { resources } : {}),
        ...(priority === undefined ? {} : { priority }),
        ...(placement ? { placement } : {}),
      },
      policies,
      instances: count,
      instanceIds: Array.from({ length: count }, (_, at) => `${id.slice(0, 200)}-dry-run-${at}`),
      reason: 'dry-run',
      ...(workload ? { workload: workload.workload.type } : {}),
    };
  }

  const isDecision = (found: PlacementRequest | Decision): found is Decision => 'outcome' in found;

  return {
    async dryRun(tenant, raw) {
      const asked = await requestOf(tenant, raw);
      const decision = isDecision(asked)
        ? asked
        : (await placement.place(asked, { reserve: false })).decision;
      blocks.decisions.record(decision);
      return decision;
    },
    async preview(tenant, raw) {
      const asked = await requestOf(tenant, raw);
      const preview = isDecision(asked)
        ? { decision: asked, places: [], counts: { places: 0, nodes: 0, clusters: 0 } }
        : await placement.preview(asked);
      blocks.decisions.record(preview.decision);
      return preview;
    },
  };
}
