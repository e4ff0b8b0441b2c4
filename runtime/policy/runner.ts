import { PolicyError } from '../../sdk/errors.ts';
import type { HookName, PolicyState } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';

/** What a policy is told by `aios policy manage`. */
export interface PolicyCommand {
  readonly action: string;
  readonly data: Json;
}

/** One evaluation, everything resolved. All of it is JSON. */
export interface RunRequest {
  readonly hook: HookName;
  /** Deeply frozen. */
  readonly input: unknown;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly state: PolicyState;
  readonly nowMs: number;
  readonly seed: number;
  readonly timeLimitMs: number;
  /** Asks `management` instead of `evaluate`; `input` is left unread. */
  readonly command?: PolicyCommand;
  /** @default 'default' */
  readonly tenant?: string;
  /** How many graphs it stands inside. @default 0 */
  readonly depth?: number;
  /** Functions that the graph around it, and all inside that, may still call. @default as `executionLimits` says */
  readonly budget?: { calls: number };
  /** Nobody waits for the answer any more. Where it runs in this thread, it runs on. */
  readonly signal?: AbortSignal;
}

export interface RunAnswer {
  /** As the policy gave it: unchecked. */
  readonly output: unknown;
  readonly state: PolicyState;
  readonly logs: readonly string[];
}

/** Where a policy's function runs. */
export interface PolicyRunner {
  /**
   * @throws {PolicyError} POLICY_THREW, POLICY_TIMEOUT, POLICY_OUTPUT_INVALID, POLICY_LIMIT_EXCEEDED, POLICY_UNREACHABLE;
   * UNSUPPORTED - it takes no commands; details.logs
   */
  run(request: RunRequest): Promise<RunAnswer>;
}

export const noManagement = (uri: string): PolicyError =>
  new PolicyError(
    'UNSUPPORTED',
    `policy '${uri}' takes no commands: it defines no management(action, data, context).`,
  );

export const runLimits = {
  logLines: 100,
  logLineCharacters: 500,
  /** JSON text of what a policy keeps between evaluations. */
  stateCharacters: 64 * 1024,
  /** JSON text of an answer from the sandbox. */
  outputCharacters: 4 * 1024 * 1024,
} as const;

/** @throws {PolicyError} POLICY_LIMIT_EXCEEDED - past the limit; POLICY_OUTPUT_INVALID - not a JSON object */
export function checkedState(uri: string, state: unknown): PolicyState {
  const isObject = typeof state === 'object' && state !== null && !Array.isArray(state);
  let text: string | undefined;
  try {
    text = isObject ? JSON.stringify(state) : undefined;
  } catch {
    // Cycles and big integers are no JSON.
  }
  if (text === undefined) {
    throw new PolicyError(
      'POLICY_OUTPUT_INVALID',
      `policy '${uri}' assigned a state that is no JSON object. Assign an object such as {"last": "in-1"}.`,
    );
  }
  if (text.length > runLimits.stateCharacters) {
    throw new PolicyError(
      'POLICY_LIMIT_EXCEEDED',
      `policy '${uri}' keeps ${text.length} characters of state; at most ${runLimits.stateCharacters} are kept. Keep less.`,
    );
  }
  return JSON.parse(text) as PolicyState;
}
