import type { SystemStatus } from '../sdk/client/api.ts';
import type { ArtifactUpkeep } from './artifact/index.ts';
import type { BlockManager } from './block/index.ts';
import type { ArtifactStore, ControlPlane } from './control-plane.ts';
import { createDryRuns } from './control-plane-dry-run.ts';
import { blockLogs, instanceLogs } from './control-plane-logs.ts';
import { createViews } from './control-plane-views.ts';
import type { Controls } from './create-controls.ts';
import type { DecisionServices } from './decision/index.ts';
import type { Layers } from './layer/index.ts';
import type { Inventory, Metrics } from './metrics/index.ts';
import type { Placement } from './placement/index.ts';
import type { PolicyHost } from './policy/index.ts';
import { type Registry, resolveVdag } from './registry/index.ts';
import type { Cordons } from './scaling/index.ts';
import type { SplitService } from './split-task/index.ts';
import type { Store } from './store/index.ts';

export interface ControlPlaneParts {
  readonly store: Store;
  readonly artifacts: ArtifactStore;
  readonly upkeep: ArtifactUpkeep;
  readonly policies: PolicyHost;
  readonly inventory: Inventory;
  readonly cordons: Pick<Cordons, 'of'>;
  readonly metrics: Metrics;
  readonly decisions: DecisionServices;
  readonly layers: Layers;
  readonly splits: SplitService;
  readonly placement: Placement;
  readonly registry: Registry;
  readonly blocks: BlockManager;
  readonly controls: Controls;
  readonly close: () => Promise<void>;
  readonly facts: Pick<SystemStatus, 'version' | 'pid' | 'startedAtMs' | 'dataDirectory'>;
}

const watchedKinds = ['component', 'block', 'vdag', 'policy', 'cluster', 'instance'] as const;

/** What the gateway calls, over the parts that do it. */
export function createControlPlaneApi(parts: ControlPlaneParts): ControlPlane {
  const { store, artifacts, registry, blocks, controls } = parts;
  const views = createViews(parts);

  const dryRuns = createDryRuns(parts);

  return {
    directory: blocks.directory,
    artifacts,
    upkeep: parts.upkeep,
    metrics: parts.metrics,
    decisions: parts.decisions,
    layers: parts.layers,
    splits: parts.splits,
    status: async (tenant) => ({ ...parts.facts, ...(await views.all(tenant)) }),
    control: controls.services,
    create: (tenant, kind, document, options = {}) =>
      controls.changes.create(tenant, kind, document, options.replace ?? false),
    dryRunBlock: (tenant, document) => dryRuns.dryRun(tenant, document),
    previewBlock: (tenant, document) => dryRuns.preview(tenant, document),
    reassign: (tenant, instanceId, reason) => blocks.reassign(tenant, instanceId, reason),
    createPlan: (tenant, plan, options) => controls.changes.createPlan(tenant, plan, options),
    list: (tenant, kind) => views.list(tenant, kind),
    get: (tenant, kind, id) => views.get(tenant, kind, id),
    delete: (tenant, kind, id) => controls.changes.delete(tenant, kind, id),
    async explain(tenant, blockId) {
      const found = await blocks.decisions.ofBlock(tenant, blockId);
      if (found.length === 0) await registry.require(tenant, 'block', blockId);
      return found;
    },
    resolveVdag: (tenant, name) => resolveVdag(registry, tenant, name),
    async models(tenant) {
      const vdags = await registry.list(tenant, 'vdag');
      return vdags
        .filter(({ value }) => value.generation)
        .map(({ id, value, createdAtMs }) => ({ id, vdag: value, createdAtMs }));
    },
    blockStatus: (tenant, blockId) => blocks.status(tenant, blockId),
    logs(tenant, target, options) {
      if ('instanceId' in target) {
        return instanceLogs({ tenant, instanceId: target.instanceId, blocks, options });
      }
      return blockLogs({ tenant, blockId: target.blockId, blocks, options });
    },
    watch(tenant, listener) {
      const stopDocuments = store.watch(watchedKinds, (change) => {
        const { tenant: owner, kind, id } = change.type === 'put' ? change.document : change.key;
        if (owner === tenant) listener({ kind, id, type: change.type });
      });
      const stopBlocks = blocks.onChange((owner, id) => {
        if (owner === tenant) listener({ kind: 'block', id, type: 'put' });
      });
      return () => {
        stopDocuments();
        stopBlocks();
      };
    },
    close: parts.close,
  };
}
