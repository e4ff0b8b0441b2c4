export { createBlockManager } from './block-manager.ts';
export type { BlockScale } from './declared.ts';
export { useSiteOf, wantedInstances } from './declared.ts';
export type { HealOrder, OnFailure } from './heal-order.ts';
export type { BlockManager, BlockManagerOptions } from './manager.ts';
export { refuseUnrunnable } from './unrunnable.ts';
export type { WatchedBlock } from './watched-block.ts';
export { resolvePolicies, resolveWorkload } from './workload.ts';
