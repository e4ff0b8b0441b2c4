import type { PreCheckVerdict } from '../sdk/client/control.ts';
import type { BlockSpec } from '../sdk/spec/block.ts';
import {
  type Admission,
  createRequests,
  createTemplates,
  type ExpandTemplate,
  type NetworkBook,
} from './admission/index.ts';
import type { BlockManager, OnFailure } from './block/index.ts';
import { type Changes, createChanges } from './control-plane-changes.ts';
import { createViews } from './control-plane-views.ts';
import type { ControlServices } from './control-services.ts';
import { createControlServices } from './create-control-services.ts';
import type { DecisionLog, NewDecision } from './decision/index.ts';
import type { Inventory, Metrics } from './metrics/index.ts';
import type { Placement } from './placement/index.ts';
import type { PolicyHost } from './policy/index.ts';
import type { Jobs } from './policy-job/index.ts';
import type { Registry } from './registry/index.ts';
import {
  type Cordons,
  createCordonCommands,
  createScaleBlock,
  createScaling,
} from './scaling/index.ts';
import type { Store } from './store/index.ts';

export interface ControlParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly inventory: Inventory;
  readonly cordons: Cordons;
  readonly metrics: Metrics;
  readonly placement: Placement;
  readonly blocks: BlockManager;
  /** Knows the defaults of clusters and network. */
  readonly policies: PolicyHost;
  readonly decisions: DecisionLog;
  readonly book: NetworkBook;
  readonly admission: Admission;
  readonly jobs: Jobs;
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  readonly log: (line: string) => void;
}

/** Every decision point beside placement and routing, joined to what it decides about. */
export interface Controls {
  readonly changes: Changes;
  readonly services: ControlServices;
  readonly expand: ExpandTemplate;
  readonly onFailure: OnFailure;
  /** What the pre-checks would say of a new block. Where nobody is asked, it is allowed. */
  readonly wouldAdmit: (tenant: string, block: BlockSpec) => Promise<PreCheckVerdict>;
  close(): Promise<void>;
}

export function createControls(parts: ControlParts): Controls {
  const { store, registry, inventory, metrics, placement, blocks, policies, decisions, book } =
    parts;
  const { admission, cordons, exclusive, jobs, log } = parts;
  const snapshot = (tenant: string, clusterId: string) => {
    const view = inventory.cluster(tenant, clusterId);
    return view && placement.snapshot(tenant, view);
  };
  const asking = {
    policies,
    inventoryRevision: () => inventory.revision,
    record: (decision: NewDecision) => decisions.record(decision),
  };
  const requests = createRequests(blocks);
  const expand = createTemplates({ ...asking, templates: (tenant) => book.get(tenant).templates });
  const { list } = createViews({
    ...{ registry, policies, inventory, cordons, placement, blocks, metrics },
  });
  const searching = { list, policies, metrics, inventory, snapshot, decisions };
  const assigning = {
    ...searching,
    view: (tenant: string, blockId: string) => blocks.watched(tenant, blockId)?.view,
  };
  const changes = createChanges({
    ...{ store, registry, inventory, placement, blocks, admission, requests, expand, assigning },
  });
  const scale = createScaleBlock({ store, documents: registry, admission, requests, exclusive });
  const scaling = createScaling({
    ...{ blocks, policies, metrics, inventory, cordons, snapshot, decisions, scale, log },
    network: (tenant) => book.get(tenant).policies,
  });
  return {
    changes,
    expand,
    onFailure: scaling.onFailure,
    wouldAdmit: (tenant, block) =>
      admission.check({ ...requests.block(tenant, 'add_block', block.id, block), clusterIds: [] }),
    services: createControlServices({
      ...{ book, registry, admission, requests, changes, scaling, searching },
      jobs,
      cordoning: createCordonCommands({ documents: registry, admission, requests, cordons }),
      managing: {
        ...{ policies, registry, inventory, metrics, decisions },
        watched: (tenant, blockId) => blocks.watched(tenant, blockId),
        network: (tenant) => book.get(tenant),
      },
    }),
    close: () => scaling.close(),
  };
}
