import type { PolicyHost } from '../policy/host.ts';
import type { Store } from '../store/index.ts';
import { useSiteOf } from './declared.ts';

interface Forgetting {
  readonly store: Store;
  readonly policies: Pick<PolicyHost, 'forget'>;
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
}

/** Removes what is kept of a block of which no instance is left. */
export async function forgetBlock(
  { store, policies, exclusive }: Forgetting,
  tenant: string,
  blockId: string,
  done: () => void,
): Promise<void> {
  const key = { tenant, id: blockId };
  await policies.forget(tenant, useSiteOf(blockId));
  // Alone: a second deletion, or a new block of this name, comes wholly before or wholly after.
  await exclusive(async () => {
    await store.commit([
      { ...key, kind: 'block', type: 'delete' },
      { ...key, kind: 'block-deletion', type: 'delete' },
      { ...key, kind: 'block-scale', type: 'delete' },
    ]);
    done();
  });
}
