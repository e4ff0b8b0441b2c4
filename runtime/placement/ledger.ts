import { randomUUID } from 'node:crypto';
import type { PlacementPlan, PlannedInstance } from '../../sdk/client/api.ts';
import { PlacementError } from '../../sdk/errors.ts';
import { Claim, shortageWithout } from './claim.ts';
import { ClusterAccount } from './cluster-account.ts';
import { NodeAccount, type Shortage } from './node-account.ts';
import type { Ledger } from './placement.ts';

export interface LedgerEntry extends PlannedInstance {
  readonly blockId: string;
  readonly clusterId: string;
}

interface Reservation {
  readonly entries: readonly LedgerEntry[];
  readonly expiresAtMs: number;
  /** While instances whose place it takes have not all ended. */
  claim: Claim | undefined;
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
  /** Committed and reserved, of one cluster. */
  promised(clusterId: string): readonly LedgerEntry[];
  /** Committed entries of one cluster whose place is not taken by a plan already. */
  evictable(clusterId: string): readonly LedgerEntry[];
}

/** Has room for nothing. */
const unknownNode = new NodeAccount();

/** @param clock - Unix milliseconds */
export function createLedger(clock: () => number = Date.now): PlacementLedger {
  const clusters = new Map<string, ClusterAccount>();
  const committed = new Map<string, LedgerEntry>();
  const reservations = new Map<string, Reservation>();
  /** Instance → its reservation. */
  const reserved = new Map<string, string>();
  /** Instance that is to end → the reservation that takes its place. */
  const claimed = new Map<string, string>();
  let nextExpiryMs = Number.POSITIVE_INFINITY;

  function clusterAccount(clusterId: string): ClusterAccount {
    const known = clusters.get(clusterId);
    if (known) return known;
    const opened = new ClusterAccount();
    clusters.set(clusterId, opened);
    return opened;
  }

  const account = (clusterId: string, nodeId: string): NodeAccount =>
    clusterAccount(clusterId).node(nodeId);

  function removeEntry(entry: LedgerEntry): void {
    const node = account(entry.clusterId, entry.nodeId);
    node.remove(entry);
    if (node.isEmpty) removeUnused(entry.clusterId);
  }

  function drop(reservationId: string): void {
    const reservation = reservations.get(reservationId);
    if (!reservation) return;
    reservations.delete(reservationId);
    const { claim, entries } = reservation;
    for (const victim of claim?.victims ?? []) claimed.delete(victim);
    claim?.letGo();
    for (const entry of entries) {
      if (reserved.get(entry.instanceId) !== reservationId) continue;
      reserved.delete(entry.instanceId);
      if (!claim) removeEntry(entry);
    }
  }

  function expire(): void {
    const now = clock();
    if (now < nextExpiryMs) return;
    nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const [id, { expiresAtMs }] of reservations) {
      if (expiresAtMs <= now) drop(id);
      else nextExpiryMs = Math.min(nextExpiryMs, expiresAtMs);
    }
  }

  /** Adds entry by entry, so that several on one node are seen together. @returns where it stopped, all taken back */
  function addAll(entries: readonly LedgerEntry[]): PlanShortage | undefined {
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

  const entriesOf = ({ blockId, clusterId, instances }: PlacementPlan): LedgerEntry[] =>
    instances.map((instance) => ({ ...instance, blockId, clusterId }));

  function removeUnused(clusterId: string): void {
    if (clusters.get(clusterId)?.prune()) clusters.delete(clusterId);
  }

  function assertNew(ids: readonly string[]): void {
    const twice =
      ids.find((id) => committed.has(id) || reserved.has(id)) ??
      ids.find((id, at) => ids.indexOf(id) !== at);
    if (twice === undefined) return;
    throw new PlacementError(
      'ALREADY_EXISTS',
      `instance '${twice}' has a place already. Release it first, or use a new id.`,
      { details: { instanceId: twice } },
    );
  }

  /** @throws {PlacementError} CAPACITY_LOST - one has gone meanwhile, or makes room for somebody else */
  function victimsOf({ blockId, clusterId }: PlacementPlan, ids: readonly string[]): LedgerEntry[] {
    return ids.map((id) => {
      const entry = committed.get(id);
      if (entry?.clusterId === clusterId && !claimed.has(id)) return entry;
      throw new PlacementError(
        'CAPACITY_LOST',
        `block '${blockId}': instance '${id}' makes room no more. Place it again.`,
        { details: { instanceId: id } },
      );
    });
  }

  /** What is left when the last instance has ended that a plan takes the place of. */
  function settle(reservation: Reservation): void {
    reservation.claim = undefined;
    for (const entry of reservation.entries) account(entry.clusterId, entry.nodeId).add(entry);
  }

  function endVictim(entry: LedgerEntry): boolean {
    const reservation = reservations.get(claimed.get(entry.instanceId) ?? '');
    const claim = reservation?.claim;
    if (!reservation || !claim) return false;
    claimed.delete(entry.instanceId);
    claim.ended(entry.instanceId, () => account(entry.clusterId, entry.nodeId).remove(entry));
    if (claim.victims.length === 0) settle(reservation);
    return true;
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
      const { clusterId, instances } = plan;
      const known = clusters.get(clusterId);
      return shortageWithout(instances, [], (nodeId) => known?.find(nodeId) ?? unknownNode);
    },

    reserve(plan, ttlMs, preempted = []) {
      expire();
      const entries = entriesOf(plan);
      const ids = entries.map((entry) => entry.instanceId);
      assertNew(ids);
      const { blockId, clusterId } = plan;
      const victims = victimsOf(plan, preempted);
      const nodeOf = (nodeId: string): NodeAccount => account(clusterId, nodeId);
      const short =
        victims.length > 0 ? shortageWithout(entries, victims, nodeOf) : addAll(entries);
      if (short) {
        const { nodeId, amount, wanted, free } = short;
        throw new PlacementError(
          'CAPACITY_LOST',
          `block '${blockId}': node '${nodeId}' of cluster '${clusterId}' no longer has ${wanted} of ${amount} (free: ${free}). Place it again.`,
          { details: { node: nodeId, amount, wanted, free } },
        );
      }
      const id = randomUUID();
      const claim = victims.length > 0 ? new Claim(entries, victims, nodeOf) : undefined;
      claim?.hold();
      for (const victim of preempted) claimed.set(victim, id);
      const expiresAtMs = clock() + ttlMs;
      nextExpiryMs = Math.min(nextExpiryMs, expiresAtMs);
      reservations.set(id, { entries, expiresAtMs, claim });
      for (const instanceId of ids) reserved.set(instanceId, id);
      return id;
    },

    commit(reservationId) {
      expire();
      const reservation = reservations.get(reservationId);
      if (!reservation || reservation.claim) {
        throw new PlacementError(
          'CAPACITY_LOST',
          reservation
            ? `reservation '${reservationId}' takes the place of ${reservation.claim?.victims.join(', ')}, which has not ended. End it first.`
            : `reservation '${reservationId}' has expired or was cancelled. Place the block again.`,
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
        const entry: LedgerEntry = { ...instance, blockId, clusterId };
        committed.set(instance.instanceId, entry);
        account(clusterId, instance.nodeId).add(entry);
      }
    },

    release(instanceId) {
      const reservationId = reserved.get(instanceId);
      const reservation = reservations.get(reservationId ?? '');
      if (reservationId !== undefined && reservation?.claim) {
        drop(reservationId);
        return;
      }
      const entry =
        committed.get(instanceId) ??
        reservation?.entries.find((it) => it.instanceId === instanceId);
      if (!entry) return;
      committed.delete(instanceId);
      reserved.delete(instanceId);
      if (!endVictim(entry)) removeEntry(entry);
    },

    free(clusterId, nodeId) {
      expire();
      return (
        clusters.get(clusterId)?.find(nodeId)?.free() ?? { memoryBytes: 0, cpuCores: 0, gpus: [] }
      );
    },

    entries: () => [...committed.values()],

    promised(clusterId) {
      expire();
      const pending = [...reservations.values()].flatMap(({ entries }) =>
        entries.filter(({ instanceId }) => reserved.has(instanceId)),
      );
      return [...committed.values(), ...pending].filter((entry) => entry.clusterId === clusterId);
    },

    evictable: (clusterId) =>
      [...committed.values()].filter(
        (entry) => entry.clusterId === clusterId && !claimed.has(entry.instanceId),
      ),
  };
}
