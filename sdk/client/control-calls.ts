import type { Json } from '../packet.ts';
import { apiPrefix, type Created, type Decision, type ResourceSpecs } from './api.ts';
import type {
  AllocateRequest,
  Allocation,
  FunctionCallRequest,
  FunctionCallResult,
  NetworkPatch,
  NetworkSpec,
  NodeCordons,
  PolicyCommandRequest,
  PolicyCommandResult,
  PolicyJob,
  PolicyJobRequest,
  PreCheckVerdict,
  ScaleStatus,
  SearchRequest,
  SearchResult,
} from './control.ts';
import type { Http } from './http.ts';

type CreatedCluster = Created<ResourceSpecs['cluster']>;

/** What policies decide beside placement. */
export interface ControlCalls {
  /** Default policies, pre-checks and templates of all. */
  network(): Promise<NetworkSpec>;
  /** Replaces the whole document. */
  putNetwork(document: unknown): Promise<NetworkSpec>;
  /** Sets what is named, removes what is `null`, keeps the rest. */
  patchNetwork(patch: NetworkPatch): Promise<NetworkSpec>;
  /** Asks the pre-checks of an action, such as `add_block`, and does nothing. */
  preCheck(action: string, document: unknown): Promise<PreCheckVerdict>;
  addNode(clusterId: string, node: unknown): Promise<CreatedCluster>;
  removeNode(clusterId: string, nodeId: string): Promise<CreatedCluster>;
  /** The node takes no new instances; those it has stay. */
  cordon(clusterId: string, nodeId: string, reason?: string): Promise<NodeCordons>;
  uncordon(clusterId: string, nodeId: string): Promise<NodeCordons>;
  /** Another instance is made elsewhere, then this one goes. @returns false: it stays, there is no other place */
  reassign(instanceId: string, reason: string): Promise<boolean>;
  /** Within the block's minInstances and maxInstances. */
  scale(blockId: string, instances: number): Promise<ScaleStatus>;
  /** Asks the block's autoscaler now. */
  autoscale(blockId: string): Promise<Decision>;
  /** Takes AIOS's bodies too. */
  search(request: SearchRequest | Json): Promise<SearchResult>;
  allocate(request: AllocateRequest): Promise<Allocation>;
  /** Tells a policy something. Takes AIOS's bodies too. */
  managePolicy(request: PolicyCommandRequest | Json): Promise<PolicyCommandResult>;
  /** Calls a policy of hook `function`, wherever it runs. */
  callFunction(request: FunctionCallRequest): Promise<FunctionCallResult>;
  /** Lets a policy of hook `function` run once, on its own. Takes AIOS's bodies too. */
  submitJob(request: PolicyJobRequest | Json): Promise<PolicyJob>;
  /** Newest first, without outputs and logs. */
  jobs(): Promise<readonly PolicyJob[]>;
  job(id: string): Promise<PolicyJob>;
  /** One that ended is forgotten. */
  cancelJob(id: string): Promise<PolicyJob>;
}

const segment = encodeURIComponent;

export function createControlCalls(http: Http): ControlCalls {
  const network = `${apiPrefix}/network`;
  const jobs = `${apiPrefix}/policy-jobs`;
  const block = (id: string): string => `${apiPrefix}/blocks/${segment(id)}`;
  const nodes = (id: string): string => `${apiPrefix}/clusters/${segment(id)}/nodes`;
  const cordon = (id: string, nodeId: string): string => `${nodes(id)}/${segment(nodeId)}/cordon`;
  return {
    network: () => http.json(network),
    putNetwork: (document) => http.json(network, { method: 'PUT', json: document }),
    patchNetwork: (patch) => http.json(network, { method: 'PATCH', json: patch }),
    preCheck: (action, document) =>
      http.json(`${apiPrefix}/pre-checks/${segment(action)}`, { json: document }),
    addNode: (clusterId, node) => http.json(nodes(clusterId), { json: node }),
    removeNode: (clusterId, nodeId) =>
      http.json(`${nodes(clusterId)}/${segment(nodeId)}`, { method: 'DELETE' }),
    cordon: (clusterId, nodeId, reason) =>
      http.json(cordon(clusterId, nodeId), { json: reason === undefined ? {} : { reason } }),
    uncordon: (clusterId, nodeId) => http.json(cordon(clusterId, nodeId), { method: 'DELETE' }),
    async reassign(instanceId, reason) {
      const path = `${apiPrefix}/instances/${segment(instanceId)}/reassign`;
      return (await http.json<{ moved: boolean }>(path, { json: { reason } })).moved;
    },
    scale: (blockId, instances) => http.json(`${block(blockId)}/scale`, { json: { instances } }),
    autoscale: (blockId) => http.json(`${block(blockId)}/autoscale`, { method: 'POST' }),
    search: (request) => http.json(`${apiPrefix}/search`, { json: request }),
    allocate: (request) => http.json(`${apiPrefix}/allocate`, { json: request }),
    managePolicy: (request) => http.json(`${apiPrefix}/policies/manage`, { json: request }),
    callFunction: (request) => http.json(`${apiPrefix}/policies/call`, { json: request }),
    submitJob: (request) => http.json(jobs, { json: request }),
    jobs: () => http.json(jobs),
    job: (id) => http.json(`${jobs}/${segment(id)}`),
    cancelJob: (id) => http.json(`${jobs}/${segment(id)}`, { method: 'DELETE' }),
  };
}
