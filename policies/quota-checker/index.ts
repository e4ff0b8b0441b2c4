import type { Policy } from '../../sdk/policy.ts';
import fairShare from './fair-share.ts';
import tokenBucket from './token-bucket.ts';
import unlimited from './unlimited.ts';

/** One line a file of this folder. */
export const quotaCheckers = [
  fairShare,
  tokenBucket,
  unlimited,
] as const satisfies readonly Policy<'quotaChecker'>[];
