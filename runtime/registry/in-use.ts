import type { ResourceKind } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import { parseVersionedName } from '../../sdk/ids.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { NetworkSpec } from '../../sdk/spec/network.ts';
import type { Store } from '../store/index.ts';
import type { Documents } from './documents.ts';

/** A tagless reference (`name:v1`) means every tag of that version. */
function refersTo(reference: PolicyReference | undefined, uri: string): boolean {
  const named = reference?.policyRuleURI;
  if (named === undefined) return false;
  if (named === uri) return true;
  const wanted = parseVersionedName(named);
  const target = parseVersionedName(uri);
  return (
    wanted.releaseTag === undefined &&
    wanted.name === target.name &&
    wanted.version === target.version
  );
}

async function usersOfPolicy(store: Store, documents: Documents, tenant: string, uri: string) {
  const users: string[] = [];
  for (const kind of ['component', 'block', 'cluster'] as const) {
    for (const { id, value } of await documents.list(tenant, kind)) {
      const checks = 'preChecks' in value ? Object.values(value.preChecks ?? {}) : [];
      const references = [
        ...Object.values(value.policies),
        ...checks,
      ] as readonly PolicyReference[];
      if (references.some((reference) => refersTo(reference, uri))) users.push(`${kind} '${id}'`);
    }
  }
  const network = await store.get<NetworkSpec>({ tenant, kind: 'network', id: 'network' });
  const shared = Object.values(network?.value ?? {}).flatMap((section) => Object.values(section));
  if (shared.some((reference) => refersTo(reference, uri))) users.push('the network');
  for (const { id, value } of await documents.list(tenant, 'vdag')) {
    const used = value.nodes.some((node) =>
      [node.assignment, node.preprocessing, node.postprocessing].some((r) => refersTo(r, uri)),
    );
    if (used) users.push(`vdag '${id}'`);
  }
  return users;
}

async function usersOfCluster(store: Store, tenant: string, clusterId: string) {
  const instances = await store.list<{ clusterId: string; blockId: string }>(tenant, 'instance');
  const blocks = instances
    .filter((i) => i.value.clusterId === clusterId)
    .map((i) => i.value.blockId);
  return [...new Set(blocks)].map((id) => `block '${id}'`);
}

async function usersOf(
  store: Store,
  documents: Documents,
  tenant: string,
  kind: ResourceKind,
  id: string,
): Promise<readonly string[]> {
  switch (kind) {
    case 'component': {
      const blocks = await documents.list(tenant, 'block');
      return blocks.filter((b) => b.value.componentUri === id).map((b) => `block '${b.id}'`);
    }
    case 'block': {
      const vdags = await documents.list(tenant, 'vdag');
      const users = vdags.filter(({ value }) => value.nodes.some((node) => node.blockId === id));
      return users.map((v) => `vdag '${v.id}'`);
    }
    case 'vdag': {
      const vdags = await documents.list(tenant, 'vdag');
      const users = vdags.filter(({ value }) => value.nodes.some((node) => node.vdagUri === id));
      return users.map((v) => `vdag '${v.id}'`);
    }
    case 'policy':
      return usersOfPolicy(store, documents, tenant, id);
    case 'cluster':
      return usersOfCluster(store, tenant, id);
  }
}

/** @throws {AiosError} IN_USE - details: by */
export async function assertUnused(
  store: Store,
  documents: Documents,
  tenant: string,
  kind: ResourceKind,
  id: string,
): Promise<void> {
  const by = await usersOf(store, documents, tenant, kind, id);
  if (by.length === 0) return;
  const shown = by.length > 5 ? [...by.slice(0, 5), `${by.length - 5} more`] : by;
  throw new AiosError(
    'IN_USE',
    `${kind} '${id}' is used by ${shown.join(', ')}. Delete ${by.length === 1 ? 'that' : 'those'} first.`,
    { details: { kind, id, by } },
  );
}
