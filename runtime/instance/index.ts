export { createShardHost, type ShardHostOptions } from './shard-host.ts';
export { processStartTime } from './start-time.ts';
export type { Workload } from './workload.ts';
