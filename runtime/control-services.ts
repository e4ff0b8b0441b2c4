import type { Created, Decision, ResourceSpecs } from '../sdk/client/api.ts';
import type {
  Allocation,
  FunctionCallResult,
  PolicyCommandResult,
  PreCheckVerdict,
  ScaleStatus,
  SearchResult,
} from '../sdk/client/control.ts';
import type { Json } from '../sdk/packet.ts';
import type { NetworkSpec } from '../sdk/spec/network.ts';
import type { Jobs } from './policy-job/index.ts';
import type { CordonCommands } from './scaling/index.ts';

/** What policies decide beside placement, as the gateway calls it. Documents are raw. */
export interface ControlServices extends CordonCommands {
  network(tenant: string): NetworkSpec;
  /** Replaces the network document. @throws {SpecError} SPEC_INVALID */
  putNetwork(tenant: string, document: unknown): Promise<NetworkSpec>;
  /** Sets what is named, removes what is `null`, keeps the rest. @throws {SpecError} SPEC_INVALID */
  patchNetwork(tenant: string, patch: unknown): Promise<NetworkSpec>;
  /**
   * Asks the pre-checks of an action and does nothing.
   * @param document - of `add_…` and `update_…` the document; of `add_node` `{clusterId, node}`; else what names the thing:
   * `{blockId, instances}`, `{clusterId, nodeId}`, `{vdagUri}`
   */
  preCheck(tenant: string, action: string, document: unknown): Promise<PreCheckVerdict>;
  /** Before a policy at this use site (`block/ocr`) is given a command. @returns it, rewritten maybe */
  admitManagement(tenant: string, useSite: string, command: Json): Promise<Json>;
  /** @throws {AiosError} NOT_FOUND, SPEC_INVALID, ADMISSION_DENIED */
  addNode(
    tenant: string,
    clusterId: string,
    node: unknown,
  ): Promise<Created<ResourceSpecs['cluster']>>;
  /** @throws {AiosError} NOT_FOUND, IN_USE - it holds instances; ADMISSION_DENIED */
  removeNode(
    tenant: string,
    clusterId: string,
    nodeId: string,
  ): Promise<Created<ResourceSpecs['cluster']>>;
  /** @param document - `{instances}`, within the block's limits @throws {AiosError} REQUEST_INVALID, ADMISSION_DENIED */
  scale(tenant: string, blockId: string, document: unknown): Promise<ScaleStatus>;
  /** Asks the block's autoscaler now, and does what it says. */
  autoscale(tenant: string, blockId: string): Promise<Decision>;
  search(tenant: string, document: unknown): Promise<SearchResult>;
  allocate(tenant: string, document: unknown): Promise<Allocation>;
  /** @throws {AiosError} SPEC_INVALID, NOT_FOUND, ADMISSION_DENIED, UNSUPPORTED - it takes none; what the policy throws */
  manage(tenant: string, document: unknown): Promise<PolicyCommandResult>;
  /** @throws {PolicyError} as `PolicyHost.evaluate`; REQUEST_INVALID - the input is not what the function takes */
  callFunction(
    tenant: string,
    document: unknown,
    signal?: AbortSignal,
  ): Promise<FunctionCallResult>;
  readonly jobs: Pick<Jobs, 'submit' | 'list' | 'get' | 'cancel'>;
}
