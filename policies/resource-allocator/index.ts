import type { Policy } from '../../sdk/policy.ts';
import binPack from './bin-pack.ts';
import leastLoaded from './least-loaded.ts';
import spread from './spread.ts';

/** One line a file of this folder. */
export const resourceAllocators = [
  binPack,
  leastLoaded,
  spread,
] as const satisfies readonly Policy<'resourceAllocator'>[];
