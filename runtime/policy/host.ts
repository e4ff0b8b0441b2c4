import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { Problem } from '../../sdk/errors.ts';
import type { HookAction, HookInput, HookName, HookOutput } from '../../sdk/hooks.ts';
import type { JsonSchema } from '../../sdk/json-schema.ts';
import type { Json } from '../../sdk/packet.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { ExecutionType } from '../../sdk/spec/execution.ts';
import type { Store } from '../store/store.ts';
import type { PolicyExecutor } from './execution/index.ts';
import type { Defaults } from './levels.ts';
import type { Replayed, ReplayRequest } from './replay.ts';
import type { PolicyCommand } from './runner.ts';

export type { PolicyExecutor } from './execution/index.ts';
export type { Replayed, ReplayRequest } from './replay.ts';
export type { PolicyCommand } from './runner.ts';

export interface EvaluateRequest<H extends HookName, A extends HookAction<H>> {
  readonly tenant: string;
  readonly hook: H;
  readonly action: A;
  /** At the use site; absent: the hook's default policy. */
  readonly reference?: PolicyReference;
  /** Under the use site's own: of one level, or of several, the nearest (cluster before network) first. */
  readonly defaults?: Defaults;
  readonly input: HookInput<H, A>;
  /** Names the use site (`block/ocr`), so that `state` is kept per policy instance. */
  readonly useSite: string;
  readonly inventoryRevision: number;
  /** In a fresh sandbox that keeps nothing, for as long as `timeLimitMs` says. @default false */
  readonly asJob?: boolean;
  /** Of a job. @default the policy's own */
  readonly timeLimitMs?: number;
  /** Ends a job, and a call of a service elsewhere. */
  readonly signal?: AbortSignal;
}

/** A command to a policy at one of its use sites. */
export interface ManageRequest
  extends Pick<
    EvaluateRequest<HookName, never>,
    'tenant' | 'hook' | 'reference' | 'defaults' | 'useSite'
  > {
  readonly command: PolicyCommand;
}

export interface Managed {
  readonly policyUri: string;
  readonly policyHash: string;
  /** What the policy says to whoever asked. */
  readonly result: Json;
  readonly logs: readonly string[];
  /** Whether it changed what it keeps. */
  readonly stateChanged: boolean;
}

export interface Evaluated<H extends HookName, A extends HookAction<H>> {
  readonly output: HookOutput<H, A>;
  readonly evaluation: PolicyEvaluation;
}

/** An evaluation, as it ended. */
export interface Observed {
  readonly tenant: string;
  readonly hook: HookName;
  readonly action: string;
  readonly useSite: string;
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
  /**
   * Asks again what was asked before: no state is kept, nothing is recorded, and the live policies' sandboxes do not notice.
   * @throws {PolicyError} POLICY_NOT_FOUND, URI_AMBIGUOUS, SPEC_INVALID - wrong hook, or given parameters refused
   */
  replay(request: ReplayRequest): Promise<Replayed>;
  /**
   * Tells a policy something, in turn with its evaluations: the state is the same.
   * @throws {PolicyError} as `evaluate`; UNSUPPORTED - it takes no commands, or none where it runs
   */
  manage(request: ManageRequest): Promise<Managed>;
  /** What is wrong with the name of an executor. */
  checkExecutor(id: string, path: string): readonly Problem[];
  /** Of a policy, built-in or uploaded. @throws {PolicyError} POLICY_NOT_FOUND, URI_AMBIGUOUS */
  hookOf(tenant: string, uri: string): Promise<string>;
  /** Hears of every evaluation after its answer was given. A listener must not throw. */
  observe(listener: (observed: Observed) => void): () => void;
  /** Problems of a reference, without running it: unknown URI, wrong hook, parameters outside the schema. */
  check(tenant: string, hook: string, reference: PolicyReference): Promise<readonly Problem[]>;
  /** Built-in and uploaded, for `aios get policies`. */
  list(tenant: string): Promise<
    readonly {
      readonly uri: string;
      readonly hook: string;
      readonly description: string;
      readonly origin: 'built-in' | 'uploaded';
    }[]
  >;
  /** One policy, built-in or uploaded. @throws {PolicyError} POLICY_NOT_FOUND, URI_AMBIGUOUS */
  describe(tenant: string, uri: string): Promise<PolicyDescription>;
  /** Removes what policies keep of a use site that is gone, from the store too. */
  forget(tenant: string, useSite: string): Promise<void>;
  close(): Promise<void>;
}

export interface PolicyDescription {
  readonly uri: string;
  readonly hook: string;
  readonly description: string;
  readonly origin: 'built-in' | 'uploaded';
  /** Of its code, or of the document that says where it runs. */
  readonly hash: string;
  readonly execution: ExecutionType | 'in-process';
  /** Of one evaluation. */
  readonly timeLimitMs: number;
  readonly parametersSchema?: JsonSchema;
  readonly settingsSchema?: JsonSchema;
}

export interface PolicyHostOptions {
  /** Trusted: run in process. @throws POLICY_DEFAULT_MISSING at start when a hook's default is not among them */
  readonly builtins: readonly AnyPolicy[];
  readonly store: Store;
  /** Source text of an uploaded policy's bundle. */
  readonly loadArtifact: (hash: string) => Promise<string>;
  /** Services that evaluate policies of execution `remote`. @default none */
  readonly executors?: readonly PolicyExecutor[] | undefined;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  /** How long changed states wait to be written together. @default 250 */
  readonly stateWriteDelayMs?: number;
  /** Of each evaluation's random numbers; recorded. @default 32 random bits */
  readonly seed?: () => number;
}
