import type { BlockView, PreCheckAction } from '../../sdk/hooks.ts';
import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { VdagSpec } from '../../sdk/spec/vdag.ts';
import type { WatchedBlock } from '../block/index.ts';
import type { AdmissionRequest } from './admission.ts';

export interface RequestParts {
  readonly watched: (tenant: string, blockId: string) => WatchedBlock | undefined;
  readonly allWatched: () => readonly WatchedBlock[];
}

type Asked<T> = AdmissionRequest & { readonly input: T };

/** What a policy is told beside the input, for each kind of thing that an action is about. */
export interface AdmissionRequests {
  cluster<T>(tenant: string, action: PreCheckAction, id: string, input: T): Asked<T>;
  node<T>(
    tenant: string,
    action: PreCheckAction,
    clusterId: string,
    nodeId: string,
    input: T,
  ): Asked<T>;
  block<T>(tenant: string, action: PreCheckAction, blockId: string, input: T): Asked<T>;
  vdag<T>(
    tenant: string,
    action: PreCheckAction,
    spec: Pick<VdagSpec, 'uri' | 'nodes'>,
    input: T,
  ): Asked<T>;
}

export function createRequests({ watched, allWatched }: RequestParts): AdmissionRequests {
  const instancesIn = (view: BlockView) =>
    view.instances.map(({ id, nodeId, clusterId }) => ({
      id,
      blockId: view.id,
      nodeId,
      clusterId,
    }));

  function instancesOf(tenant: string, clusterId: string, nodeId?: string) {
    return allWatched()
      .filter((block) => block.tenant === tenant)
      .flatMap(({ view }) => instancesIn(view))
      .filter(
        (one) => one.clusterId === clusterId && (nodeId === undefined || one.nodeId === nodeId),
      )
      .map(({ id, blockId, nodeId: on }) => ({ id, blockId, nodeId: on }));
  }

  return {
    cluster: (tenant, action, id, input) => ({
      ...{ tenant, action, input, subject: `cluster/${id}` },
      clusterIds: [id],
      ...(action === 'add_cluster' ? {} : { instances: instancesOf(tenant, id) }),
    }),
    node: (tenant, action, clusterId, nodeId, input) => ({
      ...{ tenant, action, input, subject: `node/${clusterId}/${nodeId}`, clusterIds: [clusterId] },
      ...(action === 'add_node' ? {} : { instances: instancesOf(tenant, clusterId, nodeId) }),
    }),
    block(tenant, action, blockId, input) {
      const block = watched(tenant, blockId);
      return {
        ...{ tenant, action, input, subject: `block/${blockId}` },
        ...(block
          ? {
              block: block.view,
              clusterIds: [...new Set(block.view.instances.map(({ clusterId }) => clusterId))],
              instances: instancesIn(block.view).map(({ id, nodeId }) => ({ id, blockId, nodeId })),
            }
          : {}),
      };
    },
    vdag: (tenant, action, { uri, nodes }, input) => ({
      ...{ tenant, action, input, subject: `vdag/${uri}` },
      clusterIds: [
        ...new Set(
          nodes.flatMap(({ blockId }) =>
            blockId === undefined
              ? []
              : (watched(tenant, blockId)?.view.instances.map(({ clusterId }) => clusterId) ?? []),
          ),
        ),
      ],
    }),
  };
}

/** Nodes that a replacement brings, and those that it takes away. */
export function nodeChanges(before: ClusterSpec, after: ClusterSpec) {
  const had = new Set<string>(before.nodes.map(({ id }) => id));
  const has = new Set<string>(after.nodes.map(({ id }) => id));
  return {
    added: after.nodes.filter(({ id }) => !had.has(id)),
    removed: before.nodes.filter(({ id }) => !has.has(id)).map(({ id }) => id as string),
  };
}
