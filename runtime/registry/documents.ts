import type { ResourceKind, ResourceSpecs } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { DocumentKey, Store, StoredDocument } from '../store/index.ts';

/** What a document of each kind is called by. */
export function idOf<K extends ResourceKind>(kind: K, spec: ResourceSpecs[K]): string {
  return kind === 'block' || kind === 'cluster'
    ? (spec as ResourceSpecs['block' | 'cluster']).id
    : (spec as ResourceSpecs['component' | 'vdag' | 'policy']).uri;
}

/** Typed reads of what users declared. A stored value was checked before it was stored. */
export interface Documents {
  get<K extends ResourceKind>(
    tenant: string,
    kind: K,
    id: string,
  ): Promise<StoredDocument<ResourceSpecs[K]> | undefined>;
  /** @throws {AiosError} NOT_FOUND */
  require<K extends ResourceKind>(
    tenant: string,
    kind: K,
    id: string,
  ): Promise<StoredDocument<ResourceSpecs[K]>>;
  list<K extends ResourceKind>(
    tenant: string,
    kind: K,
  ): Promise<readonly StoredDocument<ResourceSpecs[K]>[]>;
}

const plurals: Readonly<Record<ResourceKind, string>> = {
  component: 'components',
  block: 'blocks',
  vdag: 'vdags',
  policy: 'policies',
  cluster: 'clusters',
};

export function notFound(kind: ResourceKind, id: string): AiosError {
  return new AiosError(
    'NOT_FOUND',
    `${kind} '${id}' does not exist. List what there is with: aios get ${plurals[kind]}`,
    { details: { kind, id } },
  );
}

export function createDocuments(store: Store): Documents {
  function get<K extends ResourceKind>(tenant: string, kind: K, id: string) {
    const key: DocumentKey = { tenant, kind, id };
    return store.get<ResourceSpecs[K]>(key);
  }
  return {
    get,
    async require(tenant, kind, id) {
      const document = await get(tenant, kind, id);
      if (!document) throw notFound(kind, id);
      return document;
    },
    list: (tenant, kind) => store.list(tenant, kind),
  };
}
