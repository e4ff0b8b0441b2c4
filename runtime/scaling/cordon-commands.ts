import { z } from 'zod';
import type { NodeCordons } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import { nearest } from '../../sdk/nearest.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import type { Admission, AdmissionRequests } from '../admission/index.ts';
import type { Documents } from '../registry/index.ts';
import type { Cordons } from './cordons.ts';

const body = z.strictObject({ reason: z.string().max(1000).optional() });

/** Cordons as people set and lift them, behind the pre-check of managing the cluster. */
export interface CordonCommands {
  /** @param document - `{reason?}` @throws {AiosError} NOT_FOUND, SPEC_INVALID, ADMISSION_DENIED */
  cordon(
    tenant: string,
    clusterId: string,
    nodeId: string,
    document: unknown,
  ): Promise<NodeCordons>;
  /** Whoever set it. One that is not cordoned stays as it is. @throws {AiosError} NOT_FOUND, ADMISSION_DENIED */
  uncordon(tenant: string, clusterId: string, nodeId: string): Promise<NodeCordons>;
}

export function createCordonCommands(parts: {
  readonly documents: Documents;
  readonly admission: Pick<Admission, 'permit'>;
  readonly requests: Pick<AdmissionRequests, 'node'>;
  readonly cordons: Cordons;
}): CordonCommands {
  const { documents, admission, requests, cordons } = parts;

  async function permit(tenant: string, clusterId: string, nodeId: string, command: object) {
    const { value } = await documents.require(tenant, 'cluster', clusterId);
    const ids = value.nodes.map(({ id }) => id as string);
    if (!ids.includes(nodeId)) {
      const close = nearest(nodeId, ids);
      const question = close === undefined ? '' : ` Did you mean '${close}'?`;
      throw new AiosError(
        'NOT_FOUND',
        `cluster '${clusterId}' has no node '${nodeId.slice(0, 80)}'.${question}`,
      );
    }
    const input = { clusterId, nodeId, ...command };
    await admission.permit(requests.node(tenant, 'cluster_mgmt', clusterId, nodeId, input));
  }

  const shown = (tenant: string, clusterId: string): NodeCordons => ({
    clusterId,
    cordons: cordons.of(tenant, clusterId),
  });

  return {
    async cordon(tenant, clusterId, nodeId, document) {
      const { reason } = parseAs('a cordon', body, document);
      await permit(tenant, clusterId, nodeId, { command: 'cordon', ...(reason ? { reason } : {}) });
      await cordons.add(tenant, clusterId, nodeId, reason);
      return shown(tenant, clusterId);
    },
    async uncordon(tenant, clusterId, nodeId) {
      await permit(tenant, clusterId, nodeId, { command: 'uncordon' });
      await cordons.lift(tenant, clusterId, nodeId);
      return shown(tenant, clusterId);
    },
  };
}
