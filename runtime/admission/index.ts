/**
 * What is asked before anything changes: pre-checks of network and cluster, the network's defaults, document templates.
 *
 * @module
 */
export {
  type Admission,
  type AdmissionOptions,
  type AdmissionRequest,
  createAdmission,
} from './admission.ts';
export { createManagementAdmission, type ManagementAdmission } from './management.ts';
export { type NetworkBook, type NetworkBookOptions, openNetworkBook } from './network-book.ts';
export { type AdmissionRequests, createRequests, nodeChanges } from './requests.ts';
export { createTemplates, type ExpandTemplate } from './templates.ts';
export { type Levels, withDefaults } from './with-defaults.ts';
