import type { InstanceStatus, ShardCounters } from '../sdk/client/api.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';

const titles = [
  'shard',
  '>sessions',
  '>kv tokens',
  '>queue',
  '>mean batch',
  '>largest',
  '>computed',
  '>waited a step',
  '>in',
  '>out',
];

const ratio = (sum: number, count: number): string =>
  count === 0 ? '–' : (sum / count).toFixed(1);

/** One row a shard that reports: what it holds and has in line now, and what it computed since its start. */
export function renderShardLoad(
  instances: readonly InstanceStatus[],
  { table }: Pick<Context, 'table'>,
): string {
  const rows = instances.flatMap(({ id, counters }) => (counters ? [rowOf(id, counters)] : []));
  return table(titles, rows);
}

function rowOf(id: string, shard: ShardCounters): readonly string[] {
  return [
    id,
    `${shard.openSessions} of ${shard.maxSessions}`,
    shard.kvCapacityTokens === 0 ? '–' : `${shard.kvTokens} of ${shard.kvCapacityTokens}`,
    String(shard.queuedSteps),
    ratio(shard.decodeSteps, shard.decodeBatches),
    shard.maxBatchSteps === 0 ? '–' : String(shard.maxBatchSteps),
    `${(shard.computeMs / 1000).toFixed(1)} s`,
    shard.steps === 0 ? '–' : `${(shard.waitMs / shard.steps).toFixed(1)} ms`,
    formatBytes(shard.bytesIn),
    formatBytes(shard.bytesOut),
  ];
}
