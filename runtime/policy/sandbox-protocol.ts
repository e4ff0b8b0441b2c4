import type { z } from 'zod';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { PolicyCommand } from './runner.ts';

/** What a sandbox thread is started with. */
export interface SandboxBoot {
  readonly uri: string;
  /** Bundle: one self-contained ES module. */
  readonly source: string;
  /** Export that holds the `definePolicy` result. */
  readonly entry: string;
  readonly hook: string;
  readonly memoryBytes: number;
  readonly stackBytes: number;
  readonly loadTimeLimitMs: number;
  readonly outputCharacters: number;
}

export interface SandboxCall {
  readonly timeLimitMs: number;
  /** JSON text of {@link GuestRequest}. */
  readonly request: string;
}

/** What changed of the nodes that stay in the sandbox from question to question. */
export interface ResidentUpdate {
  /** Forget everything before. */
  readonly reset: boolean;
  /** Number and JSON text of nodes that are new. */
  readonly nodes: readonly (readonly [number: number, text: string])[];
  /** Lists that are new: all their nodes, or what differs from another list. */
  readonly lists: readonly (
    | { readonly number: number; readonly nodes: readonly number[] }
    | {
        readonly number: number;
        readonly base: number;
        readonly changes: readonly (readonly [place: number, node: number])[];
      }
  )[];
  /** Lists that nobody names any more. */
  readonly dropped: readonly number[];
}

/** Crosses into the guest as JSON text. */
export interface GuestRequest {
  /** Each list of nodes stands as `{$list: number}`. */
  readonly input: unknown;
  readonly update: ResidentUpdate;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly state: PolicyState;
  readonly now: number;
  readonly seed: number;
  readonly logLines: number;
  readonly logLineCharacters: number;
  readonly command?: PolicyCommand;
}

/** How an evaluation failed, told by the guest or by what surrounds it. */
export interface SandboxFault {
  readonly type:
    | 'threw'
    | 'timeout'
    | 'limit'
    | 'output-invalid'
    | 'configuration-invalid'
    | 'no-management';
  readonly message: string;
  /** `first.ts:12`, where the stack tells. */
  readonly at?: string;
  readonly issues?: readonly z.core.$ZodIssue[];
  /** Which map the issues are about. */
  readonly map?: 'parameters' | 'settings';
}

export type SandboxReply =
  | { readonly type: 'loaded' }
  | {
      readonly type: 'answer';
      readonly output: unknown;
      readonly state: PolicyState;
      readonly logs: readonly string[];
    }
  | {
      readonly type: 'fault';
      readonly fault: SandboxFault;
      readonly logs: readonly string[];
      /** The context may be damaged: the thread is to be replaced. */
      readonly spent: boolean;
    };
