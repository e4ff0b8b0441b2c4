import type { Json } from '../packet.ts';
import type { PolicyReference } from '../spec/common.ts';
import type { NetworkSpec } from '../spec/network.ts';

export type { NetworkSpec } from '../spec/network.ts';

/** What the pre-checks say of an action. */
export type PreCheckVerdict = {
  readonly action: string;
  /** URIs of the policies that were asked, in order; none where nobody is configured. */
  readonly asked: readonly string[];
} & (
  | {
      readonly allowed: true;
      /** What the action would go on with, where a policy rewrote it. */
      readonly input?: Json;
    }
  | {
      readonly allowed: false;
      readonly policyUri: string;
      readonly level: 'network' | 'cluster';
      readonly reason: string;
    }
);

/** A node that takes no new instances. */
export interface NodeCordon {
  readonly nodeId: string;
  /** A person's stays until a person lifts it; a policy's until the policy says otherwise. */
  readonly by: 'operator' | 'stabilityChecker';
  readonly reason?: string;
  readonly sinceMs: number;
}

export interface NodeCordons {
  readonly clusterId: string;
  readonly cordons: readonly NodeCordon[];
}

/** How many instances of a block are wanted now. */
export interface ScaleStatus {
  readonly blockId: string;
  readonly instances: number;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Who said so: nobody, a request, or a policy. */
  readonly by: 'document' | 'request' | 'autoscaler' | 'stabilityChecker';
}

/** What is looked for: AIOS's names of kinds and its filter language. */
export interface SearchRequest {
  readonly matchType: 'cluster' | 'block' | 'vdag' | 'component' | 'policy';
  readonly filter?: unknown;
  /** Orders what was found. @default the network's, else as stored */
  readonly rankingPolicyRule?: Partial<PolicyReference>;
  /** @default 100 */
  readonly limit?: number;
}

export interface SearchResult {
  readonly matchType: string;
  /** Passed the filter. */
  readonly matched: number;
  readonly decisionId?: string;
  /** Best first. */
  readonly results: readonly {
    readonly id: string;
    readonly score?: number;
    readonly document: unknown;
  }[];
}

/** A place that is looked for without a block. */
export interface AllocateRequest {
  readonly policyRuleURI?: string;
  /** Ids. @default those that pass the filter */
  readonly clusters?: readonly string[];
  readonly filter?: unknown;
  readonly inputs?: unknown;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The policy's answer, with the decision that keeps it. */
export interface Allocation {
  readonly decisionId: string;
  readonly answer: unknown;
}

/** A command to the policy at a place: what AIOS calls `executeMgmtCommand`. */
export interface PolicyCommandRequest {
  /** `block/ocr`, `cluster/home`, `network`, `function/counter:1.0.0-stable`. */
  readonly target: string;
  /** Where a place has several: `autoscaler`, `preCheck.add_block`. Functions have none. */
  readonly hook?: string;
  readonly command: string;
  /** @default {} */
  readonly data?: Json;
}

export interface PolicyCommandResult {
  readonly target: string;
  readonly hook: string;
  readonly policyUri: string;
  readonly policyHash: string;
  /** What the policy said. */
  readonly result: Json;
  readonly logs: readonly string[];
  /** Whether what the policy keeps is another now. */
  readonly stateChanged: boolean;
  readonly decisionId: string;
}

/** A call of a policy of hook `function`. */
export interface FunctionCallRequest {
  readonly policyRuleURI: string;
  /** @default {} */
  readonly input?: Json;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface FunctionCallResult {
  readonly policyUri: string;
  readonly output: Json;
  readonly logs: readonly string[];
  readonly durationMs: number;
}

/** A policy of hook `function` that is to run once, on its own. */
export interface PolicyJobRequest extends FunctionCallRequest {
  /** @default 60000 */
  readonly timeLimitMs?: number;
}

export const jobStatuses = ['queued', 'running', 'completed', 'failed', 'cancelled'] as const;
export type JobStatus = (typeof jobStatuses)[number];

export interface PolicyJob {
  readonly id: string;
  readonly policyUri: string;
  readonly status: JobStatus;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  /** More than one where the control plane ended in the middle. */
  readonly attempts: number;
  /** Once completed. */
  readonly output?: Json;
  /** Once failed. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly logs: readonly string[];
}

/** A patch of the network document: entries set by name, `null` removes one. */
export type NetworkPatch = {
  readonly [Section in keyof NetworkSpec]?: Readonly<
    Record<string, Partial<PolicyReference> | string | null>
  >;
};
