export {
  type BlockManager,
  type BlockManagerOptions,
  createBlockManager,
} from './block-manager.ts';
export type { Decisions } from './decisions.ts';
export { refuseUnrunnable } from './unrunnable.ts';
export { resolvePolicies, resolveWorkload } from './workload.ts';
