import type { ShardCounters } from '../../../sdk/client/api.ts';
import { eventually, type System } from '../../support/system.ts';

/** What can be added up over shards. */
export type Count = Exclude<keyof ShardCounters, 'links' | 'weightBytes'>;

/** What each shard counted, first shard first, once `sessionsOpened` have ended: reports come about once a second. */
export async function shardCounters(
  system: System,
  sessionsOpened: number,
): Promise<readonly ShardCounters[]> {
  return eventually('every shard reports that its sessions ended', async () => {
    const instances = (await system.instances()).sort((a, b) => (a.blockId < b.blockId ? -1 : 1));
    const shards = instances.flatMap(({ counters }) => (counters ? [counters] : []));
    const settled = shards.every(
      (shard) => shard.openSessions === 0 && shard.sessionsOpened === sessionsOpened,
    );
    return settled && shards.length > 0 && shards.length === instances.length ? shards : undefined;
  });
}

export const total = (shards: readonly ShardCounters[], name: Count): number =>
  shards.reduce((sum, shard) => sum + shard[name], 0);

/** Bytes of frames: what the driver sent to the first shard, and every shard sent on. */
export const wireBytes = (shards: readonly ShardCounters[]): number => {
  const [first] = shards;
  return total(shards, 'bytesOut') + (first?.bytesIn ?? 0);
};
