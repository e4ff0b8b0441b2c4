import type { Json } from '../../sdk/packet.ts';
import type { Admission } from './admission.ts';
import type { AdmissionRequests } from './requests.ts';

/**
 * Asks `block_mgmt` or `cluster_mgmt` before a policy at a use site (`block/ocr`, `cluster/home`, and what is under them) is
 * given a command. Other use sites have no such action.
 *
 * @returns the command, rewritten where a policy rewrote it
 * @throws {AiosError} ADMISSION_DENIED
 */
export type ManagementAdmission = (tenant: string, useSite: string, command: Json) => Promise<Json>;

export function createManagementAdmission(
  admission: Admission,
  requests: AdmissionRequests,
): ManagementAdmission {
  return (tenant, useSite, command) => {
    const [kind, id] = useSite.split('/');
    if (id !== undefined && kind === 'block') {
      return admission.admit(requests.block(tenant, 'block_mgmt', id, command));
    }
    if (id !== undefined && kind === 'cluster') {
      return admission.admit(requests.cluster(tenant, 'cluster_mgmt', id, command));
    }
    return Promise.resolve(command);
  };
}
