import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { HookAction, HookInput, HookName, HookOutput } from '../../sdk/hooks.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { Store } from '../store/store.ts';

export interface EvaluateRequest<H extends HookName, A extends HookAction<H>> {
  readonly tenant: string;
  readonly hook: H;
  readonly action: A;
  /** At the use site; absent: the hook's default policy. */
  readonly reference?: PolicyReference;
  /** Cluster or network defaults, under the use site's own. */
  readonly defaults?: PolicyReference;
  readonly input: HookInput<H, A>;
  /** Names the use site (`block/ocr`), so that `state` is kept per policy instance. */
  readonly useSite: string;
  readonly inventoryRevision: number;
}

export interface Evaluated<H extends HookName, A extends HookAction<H>> {
  readonly output: HookOutput<H, A>;
  readonly evaluation: PolicyEvaluation;
}

/** Resolves, validates both ways, runs within the hook's time limit, and records. */
export interface PolicyHost {
  /**
   * @throws {PolicyError} POLICY_NOT_FOUND, URI_AMBIGUOUS, POLICY_THREW, POLICY_TIMEOUT, POLICY_OUTPUT_INVALID,
   * POLICY_LIMIT_EXCEEDED; SPEC_INVALID for parameters or settings; details.evaluation holds the record
   */
  evaluate<H extends HookName, A extends HookAction<H>>(
    request: EvaluateRequest<H, A>,
  ): Promise<Evaluated<H, A>>;
  /** Problems of a reference, without running it: unknown URI, wrong hook, parameters outside the schema. */
  check(
    tenant: string,
    hook: string,
    reference: PolicyReference,
  ): Promise<readonly import('../../sdk/errors.ts').Problem[]>;
  /** Built-in and uploaded, for `aios get policies`. */
  list(tenant: string): Promise<
    readonly {
      readonly uri: string;
      readonly hook: string;
      readonly description: string;
      readonly origin: 'built-in' | 'uploaded';
    }[]
  >;
  /** Removes what policies keep of a use site that is gone, from the store too. */
  forget(tenant: string, useSite: string): Promise<void>;
  close(): Promise<void>;
}

export interface PolicyHostOptions {
  /** Trusted: run in process. @throws POLICY_DEFAULT_MISSING at start when a hook's default is not among them */
  readonly builtins: readonly AnyPolicy[];
  readonly store: Store;
  /** Source text of an uploaded policy's bundle. */
  readonly loadArtifact: (hash: string) => Promise<string>;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  /** How long changed states wait to be written together. @default 250 */
  readonly stateWriteDelayMs?: number;
  /** Of each evaluation's random numbers; recorded. @default 32 random bits */
  readonly seed?: () => number;
}
