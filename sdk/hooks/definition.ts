import type { z } from 'zod';

/**
 * What happens to the caller when a policy throws, times out, answers in the wrong shape, goes past a limit, or has too
 * many evaluations waiting. In every case the evaluation is recorded with its error.
 *
 * - `fail-with-reason`: the caller fails with the policy's error. A placement writes it into the decision as the reason why
 *   the cluster was refused, asks the other clusters, and tries the block again when something changed.
 * - `least-queued`: the request goes to the instance with the fewest in flight.
 * - `deny`, `allow`: what was asked for is refused (admission, quota) or goes on (health, quality).
 * - `hold`: everything stays as it is (autoscaler, stability, failures).
 */
export type OnError = 'fail-with-reason' | 'deny' | 'allow' | 'least-queued' | 'hold';

/** Each action's answer, checked before anybody acts on it. */
export type OutputSchemas = Readonly<Record<string, z.ZodType>>;

export interface HookDefinition {
  /** When it is called and what it decides, in one sentence. */
  readonly description: string;
  /** URI of the policy that answers where nobody chose one. */
  readonly defaultPolicy: string;
  /** For one evaluation. */
  readonly timeLimitMs: number;
  readonly onError: OnError;
  /** Whether `context.state` is kept between evaluations of one use site, across restarts. */
  readonly persistsState: boolean;
  /**
   * What AIOS injects as helper functions, and where it is here: data in the input, so that a decision can be replayed.
   */
  readonly helpers: Readonly<Record<string, string>>;
  /** `called`: the platform asks it. `defined`: validated and testable, but its caller does not exist yet. */
  readonly status: 'called' | 'defined';
}
