import { z } from 'zod';
import type { Created, ResourceSpecs } from '../sdk/client/api.ts';
import { AiosError, SpecError } from '../sdk/errors.ts';
import { preCheckActions } from '../sdk/hooks.ts';
import { nearest } from '../sdk/nearest.ts';
import { parseAs } from '../sdk/spec/parse.ts';
import { actionOf } from '../sdk/spec/read-pre-checks.ts';
import {
  type Admission,
  type AdmissionRequest,
  type AdmissionRequests,
  createManagementAdmission,
  type NetworkBook,
} from './admission/index.ts';
import { type Changes, spoiled } from './control-plane-changes.ts';
import type { ControlServices } from './control-services.ts';
import { callFunction, createManagement, type ManagementParts } from './management/index.ts';
import type { Jobs } from './policy-job/index.ts';
import type { Registry } from './registry/index.ts';
import type { CordonCommands, Scaling } from './scaling/index.ts';
import { allocate, type SearchParts, search } from './search/index.ts';

export interface ControlServiceParts {
  readonly book: NetworkBook;
  readonly registry: Registry;
  readonly admission: Admission;
  readonly requests: AdmissionRequests;
  readonly changes: Pick<Changes, 'storeCluster'>;
  readonly scaling: Pick<Scaling, 'autoscale' | 'scale'>;
  readonly cordoning: CordonCommands;
  readonly searching: SearchParts;
  readonly managing: Omit<ManagementParts, 'admit'>;
  readonly jobs: Jobs;
}

type Cluster = ResourceSpecs['cluster'];

const text = z.string().min(1).max(1000);
const named = {
  cluster: z.looseObject({ clusterId: text }),
  node: z.looseObject({ clusterId: text, nodeId: text }),
  newNode: z.strictObject({ clusterId: text, node: z.looseObject({ id: text }) }),
  block: z.looseObject({ blockId: text }),
  vdag: z.looseObject({ vdagUri: text }),
};

/** How often a change of nodes begins anew because somebody else changed the cluster. */
const maxAttempts = 5;

export function createControlServices(parts: ControlServiceParts): ControlServices {
  const { book, registry, admission, requests, changes, searching } = parts;

  /** Problems of a node inside its cluster as problems of the node itself. */
  async function readWithNode(tenant: string, cluster: Cluster, node: unknown): Promise<Cluster> {
    const nodes = [...cluster.nodes, node];
    try {
      return (await registry.read(tenant, 'cluster', { ...cluster, nodes })).spec;
    } catch (fault) {
      const error = AiosError.from(fault);
      const prefix = `$.nodes[${cluster.nodes.length}]`;
      throw new SpecError(error.code, error.message.replaceAll(prefix, '$'), {
        problems: error.problems.map((p) => ({ ...p, path: p.path.replace(prefix, '$') })),
      });
    }
  }

  async function changeNodes(
    tenant: string,
    clusterId: string,
    change: (cluster: Cluster) => Promise<Cluster>,
  ): Promise<Created<Cluster>> {
    for (let attempt = 1; ; attempt += 1) {
      const { value, revision } = await registry.require(tenant, 'cluster', clusterId);
      const next = await change(value);
      try {
        return await changes.storeCluster(tenant, next, { replace: true, expected: revision });
      } catch (fault) {
        const { code } = AiosError.from(fault);
        if (code !== 'STORE_CONFLICT' || attempt === maxAttempts) throw fault;
      }
    }
  }

  const addNode: ControlServices['addNode'] = (tenant, clusterId, document) =>
    changeNodes(tenant, clusterId, async (cluster) => {
      const next = await readWithNode(tenant, cluster, document);
      const node = next.nodes.at(-1);
      if (!node) return next;
      const answer = await admission.admit(
        requests.node(tenant, 'add_node', clusterId, node.id, node),
      );
      if (answer === node) return next;
      try {
        return await readWithNode(tenant, cluster, answer);
      } catch (fault) {
        const { problems, message } = AiosError.from(fault);
        throw spoiled('add_node', problems, message);
      }
    });

  const removeNode: ControlServices['removeNode'] = (tenant, clusterId, nodeId) =>
    changeNodes(tenant, clusterId, async (cluster) => {
      const ids = cluster.nodes.map(({ id }) => id as string);
      if (!ids.includes(nodeId)) {
        const close = nearest(nodeId, ids);
        const question = close === undefined ? '' : ` Did you mean '${close}'?`;
        throw new AiosError(
          'NOT_FOUND',
          `cluster '${clusterId}' has no node '${nodeId}'.${question}`,
        );
      }
      const input = { clusterId, nodeId };
      await admission.permit(requests.node(tenant, 'remove_node', clusterId, nodeId, input));
      return { ...cluster, nodes: cluster.nodes.filter(({ id }) => id !== nodeId) };
    });

  async function requestOf(
    tenant: string,
    name: string,
    document: unknown,
  ): Promise<AdmissionRequest> {
    const action = actionOf(name);
    const what = `a pre-check of ${name}`;
    switch (action) {
      case 'add_cluster':
      case 'update_cluster': {
        const { spec } = await registry.read(tenant, 'cluster', document);
        return requests.cluster(tenant, action, spec.id, spec);
      }
      case 'add_block': {
        const { spec } = await registry.read(tenant, 'block', document);
        return { ...requests.block(tenant, action, spec.id, spec), clusterIds: [] };
      }
      case 'add_vdag_controller': {
        const { spec } = await registry.read(tenant, 'vdag', document);
        return requests.vdag(tenant, action, spec, spec);
      }
      case 'add_node': {
        const { clusterId, node } = parseAs(what, named.newNode, document);
        const { value } = await registry.require(tenant, 'cluster', clusterId);
        const added = (await readWithNode(tenant, value, node)).nodes.at(-1);
        return requests.node(tenant, action, clusterId, node.id, added);
      }
      case 'remove_node': {
        const { clusterId, nodeId } = parseAs(what, named.node, document);
        return requests.node(tenant, action, clusterId, nodeId, { clusterId, nodeId });
      }
      case 'remove_cluster':
      case 'cluster_mgmt': {
        const input = parseAs(what, named.cluster, document);
        return requests.cluster(tenant, action, input.clusterId, input);
      }
      case 'remove_block':
      case 'scale_block':
      case 'block_mgmt': {
        const input = parseAs(what, named.block, document);
        return requests.block(tenant, action, input.blockId, input);
      }
      case 'remove_vdag_controller': {
        const input = parseAs(what, named.vdag, document);
        const { value } = await registry.require(tenant, 'vdag', input.vdagUri);
        return requests.vdag(tenant, action, value, input);
      }
      default: {
        const close = nearest(name, preCheckActions);
        throw new AiosError(
          'REQUEST_INVALID',
          `'${name.slice(0, 80)}' is no action; expected one of ${preCheckActions.join(', ')}.${close === undefined ? '' : ` Did you mean '${close}'?`}`,
        );
      }
    }
  }

  const admitManagement = createManagementAdmission(admission, requests);
  const manage = createManagement({ ...parts.managing, admit: admitManagement });
  return {
    network: (tenant) => book.get(tenant),
    putNetwork: (tenant, document) => book.put(tenant, document),
    patchNetwork: (tenant, patch) => book.patch(tenant, patch),
    preCheck: async (tenant, action, document) =>
      admission.check(await requestOf(tenant, action, document)),
    admitManagement,
    addNode,
    removeNode,
    ...parts.cordoning,
    scale(tenant, blockId, document) {
      const schema = z.strictObject({ instances: z.number() });
      const { instances } = parseAs('a scale request', schema, document);
      return parts.scaling.scale(tenant, blockId, instances);
    },
    autoscale: (tenant, blockId) => parts.scaling.autoscale(tenant, blockId),
    search: (tenant, document) => search(searching, tenant, document),
    allocate: (tenant, document) => allocate(searching, tenant, document),
    manage,
    jobs: parts.jobs,
    callFunction: (tenant, document, signal) =>
      callFunction(parts.managing.policies, tenant, document, signal),
  };
}
