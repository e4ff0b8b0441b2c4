import { randomUUID } from 'node:crypto';
import type { PlacementPlan, PlannedInstance } from '../../sdk/client/api.ts';
import { PlacementError } from '../../sdk/errors.ts';
import { ClusterAccount } from './cluster-account.ts';
import type { NodeAccount, Shortage } from './node-account.ts';
import type { Ledger } from './placement.ts';

interface Entry extends PlannedInstance {
  readonly blockId: string;
  readonly clusterId: string;
}

interface Reservation {
  readonly entries: readonly Entry[];
  readonly expiresAtMs: number;
}

/** Where a plan does not fit. */
export interface PlanShortage extends Shortage {
  readonly instanceId: string;
  readonly nodeId: string;
}

/** The ledger with what only placement asks of it. */
export interface PlacementLedger extends Ledger {
  /** The cluster's account as it is now: reservations that have expired are gone. */
  cluster(clusterId: string): ClusterAccount;
  /** What `reserve` would refuse it for; changes nothing. */
  shortage(plan: PlacementPlan): PlanShortage | undefined;
}

/** @param clock - Unix milliseconds */
export function createLedger(clock: () => number = Date.now): PlacementLedger {
  const clusters = new Map<string, ClusterAccount>();
  const committed = new Map<string, Entry>();
  const reservations = new Map<string, Reservation>();
  /** Instance → its reservation. */
  const reserved = new Map<string, string>();

  function clusterAccount(clusterId: string): ClusterAccount {
    const known = clusters.get(clusterId);
    if (known) return known;
    const opened = new ClusterAccount();
    clusters.set(clusterId, opened);
    return opened;
  }

  const account = (clusterId: string, nodeId: string): NodeAccount =>
    clusterAccount(clusterId).node(nodeId);

  function drop(reservationId: string): void {
    const reservation = reservations.get(reservationId);
    if (!reservation) return;
    reservations.delete(reservationId);
    for (const entry of reservation.entries) {
      if (reserved.get(entry.instanceId) !== reservationId) continue;
      reserved.delete(entry.instanceId);
      const node = account(entry.clusterId, entry.nodeId);
      node.remove(entry);
      if (node.isEmpty) removeUnused(entry.clusterId);
    }
  }

  function expire(): void {
    const now = clock();
    for (const [id, { expiresAtMs }] of reservations) if (expiresAtMs <= now) drop(id);
  }

  /** Adds entry by entry, so that several on one node are seen together. @returns where it stopped, all taken back */
  function addAll(entries: readonly Entry[]): PlanShortage | undefined {
    for (const [at, entry] of entries.entries()) {
      const node = account(entry.clusterId, entry.nodeId);
      const short = node.shortage(entry);
      if (!short) {
        node.add(entry);
        continue;
      }
      for (const added of entries.slice(0, at)) {
        account(added.clusterId, added.nodeId).remove(added);
      }
      if (node.isEmpty) removeUnused(entry.clusterId);
      return { ...short, instanceId: entry.instanceId, nodeId: entry.nodeId };
    }
    return undefined;
  }

  const entriesOf = ({ blockId, clusterId, instances }: PlacementPlan): Entry[] =>
    instances.map((instance) => ({ ...instance, blockId, clusterId }));

  function removeUnused(clusterId: string): void {
    if (clusters.get(clusterId)?.prune()) clusters.delete(clusterId);
  }

  return {
    cluster(clusterId) {
      expire();
      return clusterAccount(clusterId);
    },

    setCluster(cluster) {
      const declared = new Set<string>(cluster.nodes.map((node) => node.id));
      for (const [id, node] of clusters.get(cluster.id)?.nodes() ?? []) {
        if (!declared.has(id)) node.declare(undefined);
      }
      for (const node of cluster.nodes) account(cluster.id, node.id).declare(node);
      removeUnused(cluster.id);
    },

    removeCluster(clusterId) {
      for (const node of clusters.get(clusterId)?.nodes().values() ?? []) node.declare(undefined);
      removeUnused(clusterId);
    },

    shortage(plan) {
      expire();
      const entries = entriesOf(plan);
      const short = addAll(entries);
      if (!short) for (const entry of entries) account(entry.clusterId, entry.nodeId).remove(entry);
      return short;
    },

    reserve(plan, ttlMs) {
      expire();
      const entries = entriesOf(plan);
      const ids = entries.map((entry) => entry.instanceId);
      const twice =
        ids.find((id) => committed.has(id) || reserved.has(id)) ??
        ids.find((id, at) => ids.indexOf(id) !== at);
      if (twice !== undefined) {
        throw new PlacementError(
          'ALREADY_EXISTS',
          `instance '${twice}' has a place already. Release it first, or use a new id.`,
          { details: { instanceId: twice } },
        );
      }
      const short = addAll(entries);
      if (short) {
        const { nodeId, amount, wanted, free } = short;
        throw new PlacementError(
          'CAPACITY_LOST',
          `block '${plan.blockId}': node '${nodeId}' of cluster '${plan.clusterId}' no longer has ${wanted} of ${amount} (free: ${free}). Place it again.`,
          { details: { node: nodeId, amount, wanted, free } },
        );
      }
      const id = randomUUID();
      reservations.set(id, { entries, expiresAtMs: clock() + ttlMs });
      for (const instanceId of ids) reserved.set(instanceId, id);
      return id;
    },

    commit(reservationId) {
      expire();
      const reservation = reservations.get(reservationId);
      if (!reservation) {
        throw new PlacementError(
          'CAPACITY_LOST',
          `reservation '${reservationId}' has expired or was cancelled. Place the block again.`,
        );
      }
      reservations.delete(reservationId);
      for (const entry of reservation.entries) {
        if (reserved.get(entry.instanceId) !== reservationId) continue;
        reserved.delete(entry.instanceId);
        committed.set(entry.instanceId, entry);
      }
    },

    cancel: drop,

    restore(blockId, clusterId, instances) {
      for (const instance of instances) {
        if (committed.has(instance.instanceId)) continue;
        const entry: Entry = { ...instance, blockId, clusterId };
        committed.set(instance.instanceId, entry);
        account(clusterId, instance.nodeId).add(entry);
      }
    },

    release(instanceId) {
      const reservationId = reserved.get(instanceId);
      const entry =
        committed.get(instanceId) ??
        reservations.get(reservationId ?? '')?.entries.find((it) => it.instanceId === instanceId);
      if (!entry) return;
      committed.delete(instanceId);
      reserved.delete(instanceId);
      const node = account(entry.clusterId, entry.nodeId);
      node.remove(entry);
      if (node.isEmpty) removeUnused(entry.clusterId);
    },

    free(clusterId, nodeId) {
      expire();
      return (
        clusters.get(clusterId)?.find(nodeId)?.free() ?? { memoryBytes: 0, cpuCores: 0, gpus: [] }
      );
    },

    entries: () => [...committed.values()],
  };
}
