import { AiosError } from '../../sdk/errors.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import type { ReplicaSpeeds } from './replica-speeds.ts';

/** The instances of a model's blocks as its sessions see them: who could stand in for whom, and who is slow. */
export interface Replicas {
  /** Whether a session could be elsewhere, in one of its shards at least. */
  hasStandIn(tenant: string, shards: readonly RoutedInstance[]): boolean;
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
  directory: Pick<InstanceDirectory, 'ready' | 'report'>,
  speeds: ReplicaSpeeds,
): Replicas {
  const replaceable = (tenant: string, shards: readonly RoutedInstance[]) =>
    shards.filter(({ blockId, instanceId }) =>
      directory.ready?.(tenant, blockId).some((id) => id !== instanceId),
    );

  return {
    hasStandIn: (tenant, shards) => replaceable(tenant, shards).length > 0,
    avoid(blockId, also) {
      const slow = speeds.slow(blockId);
      return slow.size === 0 ? also : new Set([...slow, ...also]);
    },
    stepped: speeds.stepped,
    stalled(tenant, shards, what, waitedMs) {
      const suspects = replaceable(tenant, shards);
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
