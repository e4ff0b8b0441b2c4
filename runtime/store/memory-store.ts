import { createDocumentStore } from './document-store.ts';
import type { Row, StoreEngine } from './engine.ts';
import type { DocumentKey, Store } from './store.ts';

const textOf = ({ tenant, kind, id }: DocumentKey): string => JSON.stringify([tenant, kind, id]);

function createMemoryEngine(): StoreEngine {
  const rows = new Map<string, Row>();
  const tenants = new Set<string>();
  let revision = 0;
  return {
    get: (key) => rows.get(textOf(key)),
    list: (tenant, kind) =>
      [...rows.values()].filter((row) => row.tenant === tenant && row.kind === kind),
    page(after, limits) {
      const last = after && textOf(after);
      let characters = 0;
      const names = [...rows.keys()].filter((name) => last === undefined || name > last).sort();
      const next = names.slice(0, limits.rows).flatMap((name) => rows.get(name) ?? []);
      return next.filter(({ value }, index) => {
        characters += value.length;
        return index === 0 || characters <= limits.characters;
      });
    },
    tenants: () => [...tenants],
    revision: () => revision,
    write(next, puts, deletes) {
      revision = next;
      for (const row of puts) {
        rows.set(textOf(row), row);
        tenants.add(row.tenant);
      }
      for (const key of deletes) rows.delete(textOf(key));
    },
    close: () => rows.clear(),
  };
}

/** A store that lives and dies with this process: for tests and simulations. */
export const createMemoryStore = (): Store => createDocumentStore(createMemoryEngine());
