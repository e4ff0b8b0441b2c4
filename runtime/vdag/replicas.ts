import { AiosError } from '../../sdk/errors.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import type { ReplicaSpeeds } from './replica-speeds.ts';

/** The instances of a model's blocks as its sessions see them: who could stand in for whom, and who is slow. */
export interface Replicas {
  /**
   * Claims a place beside each of these, for a session that is to leave them: others that leave at the same time see it
   * taken.
   *
   * @returns to be called once the session has its new places, or gives up; undefined: there is not room for all
   */
  claimStandIns(tenant: string, shards: readonly RoutedInstance[]): (() => void) | undefined;
  /** Instances that one is to be picked beside, where there are others. @param also - those that this session knows of */
  avoid(blockId: string, also: ReadonlySet<string>): ReadonlySet<string>;
  /** A step of one token came back. */
  stepped: ReplicaSpeeds['stepped'];
  /**
   * A session of these stands still: those that others can stand in for are checked, and nobody is sent there meanwhile.
   *
   * @returns what to tell; undefined: nobody can stand in, so that it can only wait
   */
  stalled(
    tenant: string,
    shards: readonly RoutedInstance[],
    what: string,
    waitedMs: number,
  ): AiosError | undefined;
}

export function createReplicas(
  directory: Pick<InstanceDirectory, 'free' | 'report'>,
  speeds: ReplicaSpeeds,
): Replicas {
  /** By tenant and block: places that a session which moves will take. */
  const claims = new Map<string, number>();
  const keyOf = (tenant: string, blockId: string) => JSON.stringify([tenant, blockId]);

  /** Whether others than the instance have room for one more. */
  const replaceable = (tenant: string, { blockId, instanceId }: RoutedInstance): boolean => {
    const free = new Map(directory.free?.(tenant, blockId));
    free.delete(instanceId);
    const places = [...free.values()].reduce((sum, count) => sum + count, 0);
    return places > (claims.get(keyOf(tenant, blockId)) ?? 0);
  };

  function claim(key: string, change: 1 | -1): void {
    const count = (claims.get(key) ?? 0) + change;
    if (count > 0) claims.set(key, count);
    else claims.delete(key);
  }

  return {
    claimStandIns(tenant, shards) {
      if (!shards.every((shard) => replaceable(tenant, shard))) return undefined;
      const keys = shards.map(({ blockId }) => keyOf(tenant, blockId));
      for (const key of keys) claim(key, 1);
      return () => {
        for (const key of keys.splice(0)) claim(key, -1);
      };
    },
    avoid(blockId, also) {
      const slow = speeds.slow(blockId);
      return slow.size === 0 ? also : new Set([...slow, ...also]);
    },
    stepped: speeds.stepped,
    stalled(tenant, shards, what, waitedMs) {
      const suspects = shards.filter((shard) => replaceable(tenant, shard));
      if (suspects.length === 0) return undefined;
      const ids = suspects.map(({ instanceId }) => instanceId);
      const error = new AiosError(
        'SHARD_UNAVAILABLE',
        `${what} did not come for ${Math.round(waitedMs)} ms, much longer than usual: it goes on without ${ids.join(', ')}.`,
        { details: { cause: 'stalled', instanceIds: ids } },
      );
      for (const id of ids) directory.report(id, error);
      return error;
    },
  };
}
