import type { ScaleStatus } from '../../sdk/client/control.ts';
import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { BlockManager } from '../block/index.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { Inventory, Metrics } from '../metrics/index.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { Cordons } from './cordons.ts';

type Policies = Readonly<Record<string, PolicyReference>>;

/** A wish for another number of instances, to be checked and stored. */
export interface ScaleWish {
  readonly tenant: string;
  readonly blockId: string;
  readonly instances: number;
  readonly by: ScaleStatus['by'];
  /** Which go first. */
  readonly remove?: readonly string[];
  /** Nodes that new ones go to if they can. */
  readonly prefer?: readonly string[];
}

export interface ScalingParts {
  readonly blocks: Pick<BlockManager, 'watched' | 'allWatched' | 'restartInstance' | 'reassign'>;
  /** Knows the defaults of clusters and network. */
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  readonly metrics: Pick<Metrics, 'block' | 'collect'>;
  readonly inventory: Pick<Inventory, 'tenants' | 'clusters' | 'cluster' | 'revision'>;
  readonly cordons: Pick<Cordons, 'of' | 'said'>;
  readonly snapshot: (tenant: string, clusterId: string) => ClusterSnapshot | undefined;
  readonly network: (tenant: string) => Policies;
  readonly decisions: Pick<DecisionLog, 'record'>;
  /** Passes the pre-checks and stores it. @throws {AiosError} ADMISSION_DENIED, REQUEST_INVALID */
  readonly scale: (wish: ScaleWish) => Promise<ScaleStatus>;
  readonly log: (line: string) => void;
}

/** The defaults of a block: its cluster's, where it runs, then the network's. */
export const defaultsOf = (
  { inventory, network }: Pick<ScalingParts, 'inventory' | 'network'>,
  tenant: string,
  clusterId: string | undefined,
): readonly (Policies | undefined)[] => [
  clusterId === undefined ? undefined : inventory.cluster(tenant, clusterId)?.spec.policies,
  network(tenant),
];
