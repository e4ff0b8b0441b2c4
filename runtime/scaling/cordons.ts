import type { NodeCordon } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { Inventory } from '../metrics/index.ts';
import type { Change, Store } from '../store/index.ts';

export interface CordonsOptions {
  readonly store: Store;
  /** Told whenever another node takes no new instances, or takes them again. */
  readonly inventory: Pick<Inventory, 'cordon'>;
  /** Runs alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  readonly log: (line: string) => void;
}

/** Which nodes take no new instances, and who said so: in memory as it is in the store. */
export interface Cordons {
  of(tenant: string, clusterId: string): readonly NodeCordon[];
  /** What a cluster's stability checker says now, in place of what it said before. People's cordons stay. */
  said(
    tenant: string,
    clusterId: string,
    nodeIds: readonly string[],
    reason?: string,
  ): Promise<void>;
  /** For a person. @throws {AiosError} NOT_FOUND - cluster or node is gone */
  add(tenant: string, clusterId: string, nodeId: string, reason?: string): Promise<void>;
  /** Whoever cordoned it; a stability checker may do so again. @returns whether it was cordoned */
  lift(tenant: string, clusterId: string, nodeId: string): Promise<boolean>;
  close(): Promise<void>;
}

type Cordoned = readonly NodeCordon[];

const keyOf = (tenant: string, clusterId: string): string => JSON.stringify([tenant, clusterId]);
const maxAttempts = 5;

/** Clusters must be in the inventory by then: their cordons count from here on. */
export async function openCordons(options: CordonsOptions): Promise<Cordons> {
  const { store, inventory, exclusive, log } = options;
  const known = new Map<string, Cordoned>();

  function take(tenant: string, clusterId: string, cordoned: Cordoned): void {
    if (cordoned.length > 0) known.set(keyOf(tenant, clusterId), cordoned);
    else known.delete(keyOf(tenant, clusterId));
    inventory.cordon(tenant, clusterId, [...new Set(cordoned.map(({ nodeId }) => nodeId))]);
  }

  async function attempt(
    tenant: string,
    clusterId: string,
    next: (before: Cordoned) => Cordoned,
  ): Promise<boolean> {
    const key = { tenant, kind: 'cordon', id: clusterId } as const;
    const cluster = await store.get<ClusterSpec>({ ...key, kind: 'cluster' });
    const stored = await store.get<Cordoned>(key);
    const has = new Set<string>(cluster?.value.nodes.map(({ id }) => id));
    const before = stored?.value ?? [];
    const after = next(before).filter(({ nodeId }) => has.has(nodeId));
    if (JSON.stringify(after) === JSON.stringify(before)) return false;
    const ifRevision = stored?.revision ?? 0;
    await store.commit([
      after.length > 0
        ? { ...key, type: 'put', value: after, ifRevision }
        : { ...key, type: 'delete', ifRevision },
    ]);
    return true;
  }

  /** @returns whether anything is otherwise now */
  function change(
    tenant: string,
    clusterId: string,
    next: (before: Cordoned) => Cordoned,
  ): Promise<boolean> {
    return exclusive(async () => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await attempt(tenant, clusterId, next);
        } catch (fault) {
          const { code } = AiosError.from(fault);
          if (code !== 'STORE_CONFLICT' || tries === maxAttempts) throw fault;
        }
      }
    });
  }

  function onWritten(written: Change): void {
    const { tenant, kind, id } = written.type === 'put' ? written.document : written.key;
    if (kind === 'cordon') {
      take(tenant, id, written.type === 'put' ? (written.document.value as Cordoned) : []);
    } else if (known.has(keyOf(tenant, id))) {
      // The cluster is gone, or may have lost a node: one of that name that comes back is another.
      void change(tenant, id, (before) => before).catch((fault: unknown) => {
        const { code, message } = AiosError.from(fault);
        if (code !== 'CLOSED') log(`cordons of cluster '${id}': ${message}`);
      });
    }
  }

  const stop = store.watch(['cordon', 'cluster'], onWritten);
  for (const tenant of await store.tenants()) {
    for (const { id, value } of await store.list<Cordoned>(tenant, 'cordon')) {
      take(tenant, id, value);
      await change(tenant, id, (before) => before);
    }
  }

  return {
    of: (tenant, clusterId) => known.get(keyOf(tenant, clusterId)) ?? [],
    async said(tenant, clusterId, nodeIds, reason) {
      const by = 'stabilityChecker';
      await change(tenant, clusterId, (before) => [
        ...before.filter((cordon) => cordon.by !== by),
        ...[...new Set(nodeIds)].map((nodeId) => {
          const same = before.find((cordon) => cordon.by === by && cordon.nodeId === nodeId);
          if (same) return same;
          return { nodeId, by, sinceMs: Date.now(), ...(reason ? { reason } : {}) } as const;
        }),
      ]);
    },
    async add(tenant, clusterId, nodeId, reason) {
      const by = 'operator';
      const cordon = { nodeId, by, sinceMs: Date.now(), ...(reason ? { reason } : {}) } as const;
      await change(tenant, clusterId, (before) => [
        ...before.filter((one) => one.by !== by || one.nodeId !== nodeId),
        cordon,
      ]);
      const found = known.get(keyOf(tenant, clusterId)) ?? [];
      if (found.some((one) => one.by === by && one.nodeId === nodeId)) return;
      throw new AiosError('NOT_FOUND', `cluster '${clusterId}' has no node '${nodeId}' any more.`);
    },
    lift: (tenant, clusterId, nodeId) =>
      change(tenant, clusterId, (before) => before.filter((cordon) => cordon.nodeId !== nodeId)),
    async close() {
      stop();
    },
  };
}
