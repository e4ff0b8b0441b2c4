import type { ClusterBackend, InstanceProcess } from '../cluster/backend.ts';
import type { Inventory } from '../metrics/index.ts';
import type { Ledger } from '../placement/placement.ts';
import type { Store } from '../store/index.ts';
import type { InstanceDocument } from './instance-document.ts';

export interface Restored {
  readonly document: InstanceDocument;
  readonly process: InstanceProcess;
}

/**
 * After a restart: takes back the instances that still run, ends every other process, and makes documents and ledger say
 * exactly that.
 */
export async function restoreInstances(options: {
  readonly store: Store;
  readonly ledgerOf: (tenant: string) => Ledger;
  readonly inventory: Inventory;
  readonly backends: ReadonlyMap<string, ClusterBackend>;
}): Promise<readonly Restored[]> {
  const { store, ledgerOf, inventory, backends } = options;
  const documents: InstanceDocument[] = [];
  for (const tenant of await store.tenants()) {
    for (const { value } of await store.list<InstanceDocument>(tenant, 'instance')) {
      documents.push(value);
    }
  }
  const restored: Restored[] = [];
  for (const [name, backend] of backends) {
    const known = documents.filter(
      ({ tenant, clusterId }) => inventory.cluster(tenant, clusterId)?.spec.backend === name,
    );
    const adopted = await backend.adopt(
      known.map(({ id, tenant, clusterId, nodeId, process }) => ({
        tenant,
        instanceId: id,
        clusterId,
        nodeId,
        ...(process ? { process } : {}),
      })),
    );
    for (const document of known) {
      const process = adopted.get(document.id);
      if (process) restored.push({ document, process });
    }
  }
  const kept = new Set(restored.map(({ document }) => document.id));
  await store.commit(
    documents
      .filter(({ id }) => !kept.has(id))
      .map(({ tenant, id }) => ({ tenant, kind: 'instance', id, type: 'delete' })),
  );
  for (const { document } of restored) {
    const { tenant, blockId, clusterId, planned } = document;
    ledgerOf(tenant).restore(blockId, clusterId, [planned]);
  }
  return restored;
}
