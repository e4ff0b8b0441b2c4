import type { Amounts } from '../cluster.ts';

/** What a decision was about. */
export const decisionKinds = [
  'placement',
  'scaling',
  'reassignment',
  'preemption',
  'admission',
  'stability',
  'search',
  'template',
  'failure',
  'management',
] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/**
 * What came out. Of a placement `placed`, `refused` or `dry-run`; of an admission `allowed`, `rewritten` or `refused`; of a
 * loop that watches `changed` or `held`; of a question that changes nothing `answered`; of a
 * command to a policy `changed` or `answered`; `failed` where no answer came.
 */
export const decisionOutcomes = [
  'placed',
  'refused',
  'dry-run',
  'allowed',
  'rewritten',
  'changed',
  'held',
  'answered',
  'failed',
] as const;
export type DecisionOutcome = (typeof decisionOutcomes)[number];

/** One candidate of a placement. `aios explain` prints one row each. */
export interface CandidateExplanation {
  readonly clusterId: string;
  readonly nodeId?: string;
  /** 0 to 1. */
  readonly score?: number;
  /** The condition that refused it, as written in the document or by the policy. */
  readonly refusedBy?: string;
  /** The value seen where the condition looked. */
  readonly seen?: string;
  readonly chosen: boolean;
}

/** How many candidates a decision was about, where not every one of them is listed. */
export interface CandidateCounts {
  /** Nodes, or clusters that no node was looked at of. */
  readonly total: number;
  readonly scored: number;
  /** By refusing condition, the most frequent first. */
  readonly refused: readonly { readonly refusedBy: string; readonly count: number }[];
}

/** One question to a policy and its answer. What it was asked and the state it had are kept beside the decision. */
export interface PolicyEvaluation {
  readonly hook: string;
  readonly action: string;
  readonly policyUri: string;
  readonly policyHash: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly nowMs: number;
  readonly stateRevision: number;
  readonly inventoryRevision: number;
  /** sha256 of the canonical JSON of the input, long parts standing as their own digest (`runtime/policy/digest.ts`). */
  readonly inputDigest: string;
  readonly output?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly logs: readonly string[];
  readonly durationMs: number;
}

/** What was decided, by which policies, and why. Kept in the store. */
export interface Decision {
  readonly id: string;
  readonly tenant: string;
  /** @default 'placement' */
  readonly kind?: DecisionKind;
  /** `block/ocr`, `instance/ocr-1`, `cluster/home`, `node/home/n1`, `policy/x:1-s`. @default block/{blockId} */
  readonly subject?: string;
  /** Empty where it is about no block. */
  readonly blockId: string;
  /** What it was made for. */
  readonly reason:
    | 'create'
    | 'dry-run'
    | 'heal'
    | 'restart'
    | 'scale'
    | 'reassign'
    | 'preempt'
    | 'request'
    | 'watch';
  readonly outcome: DecisionOutcome;
  readonly message: string;
  /** Of more than 100: what was chosen, the best 20 scores and 5 examples of each refusing condition. */
  readonly candidates: readonly CandidateExplanation[];
  /** Of all candidates; present where `candidates` lists only some. */
  readonly candidateCounts?: CandidateCounts;
  readonly evaluations: readonly PolicyEvaluation[];
  /** The plan that was reserved and committed. */
  readonly plan?: PlacementPlan;
  /** Facts of its kind, such as the wanted and the clamped number of instances. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly atMs: number;
  readonly durationMs: number;
}

/** A decision in a list: without candidates and evaluations. */
export interface DecisionSummary
  extends Pick<
    Decision,
    'id' | 'blockId' | 'reason' | 'outcome' | 'message' | 'atMs' | 'durationMs'
  > {
  readonly kind: DecisionKind;
  readonly subject: string;
  /** Policies asked, in order. */
  readonly policies: readonly string[];
}

export interface DecisionFilter {
  readonly kind?: DecisionKind | undefined;
  readonly outcome?: DecisionOutcome | undefined;
  /** Whole, or everything under it: `block/ocr`, `cluster`. */
  readonly subject?: string | undefined;
  /** Newest first. @default 50 */
  readonly limit?: number | undefined;
}

/** What was scored is what is reserved is what is committed. */
export interface PlacementPlan {
  readonly blockId: string;
  readonly clusterId: string;
  readonly score: number;
  readonly instances: readonly PlannedInstance[];
}

export interface PlannedInstance {
  readonly instanceId: string;
  readonly nodeId: string;
  readonly memoryBytes: number;
  readonly cpuCores: number;
  /** Share of each device, in bytes. */
  readonly gpus: readonly {
    readonly index: number;
    readonly memoryBytes: number;
    readonly exclusive: boolean;
  }[];
}

/** What a policy was configured with, and what it answered. */
export interface ReplaySide {
  readonly policyUri: string;
  readonly policyHash: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly output?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly durationMs: number;
}

/** One place where two answers differ. Values are shortened JSON; absent where there is none. */
export interface Difference {
  /** `$.nodes[n7].score`: of rows that have an id, by id. */
  readonly path: string;
  readonly recorded?: string;
  readonly replayed?: string;
}

/** One question of a decision, asked again. */
export interface ReplayedEvaluation {
  /** Its index in the decision's `evaluations`. */
  readonly evaluation: number;
  readonly hook: string;
  readonly action: string;
  /** Of the input that was rebuilt, and that both were asked. */
  readonly inputDigest: string;
  readonly recorded: ReplaySide;
  readonly replayed: ReplaySide;
  /** The same answer, to the last digit. */
  readonly same: boolean;
  /** The code that decided then does not exist any more; what has its URI now was asked. */
  readonly codeChanged: boolean;
  /** Recorded parameters that the other policy does not take. */
  readonly leftOut: readonly string[];
  /** At most 100. */
  readonly differences: readonly Difference[];
}

/** A placement's end, as its policies named it. */
export interface ReplayedPlace {
  readonly clusterId: string;
  readonly score: number;
  readonly nodeIds: readonly string[];
}

export interface ReplayRequest {
  /** Only this one of the decision's evaluations. @default all; with another policy: all of its hook */
  readonly evaluation?: number | undefined;
  /** Another policy, or the same one configured otherwise. @default as recorded */
  readonly with?:
    | {
        readonly policyRuleURI?: string | undefined;
        /** Left out: those recorded that its schema takes, over its own. */
        readonly parameters?: Readonly<Record<string, unknown>> | undefined;
        readonly settings?: Readonly<Record<string, unknown>> | undefined;
      }
    | undefined;
}

/** A decision, made again on what it was made on. Nothing was stored, reserved or started. */
export interface Replay {
  readonly decisionId: string;
  readonly kind: DecisionKind;
  readonly subject: string;
  readonly outcome: DecisionOutcome;
  /** Every answer is the same and came from the same code. */
  readonly same: boolean;
  readonly evaluations: readonly ReplayedEvaluation[];
  /** Those that could not be asked again, and why. */
  readonly skipped: readonly { readonly evaluation: number; readonly why: string }[];
  /** Of a placement: where it went, and where it would go. Absent where nowhere. */
  readonly place?: { readonly recorded?: ReplayedPlace; readonly replayed?: ReplayedPlace };
}

/** A policy tried beside the live one: how often it was asked, and how often it would have decided otherwise. */
export interface ShadowReport {
  readonly hook: string;
  readonly policyUri: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Unix milliseconds. */
  readonly sinceMs: number;
  /** Questions that it answered or failed at. */
  readonly evaluations: number;
  /** The same decision; scores and reasons may differ. */
  readonly agreed: number;
  readonly differed: number;
  readonly failed: number;
  /** Not asked, because it was busy: the live policy never waits for it. */
  readonly dropped: number;
  /** The newest 50 that differed or failed, newest first. */
  readonly examples: readonly ShadowExample[];
}

export interface ShadowExample {
  readonly atMs: number;
  readonly useSite: string;
  readonly action: string;
  /** Absent where the evaluation became part of no decision that is kept. */
  readonly decisionId?: string;
  readonly livePolicyUri: string;
  readonly differences: readonly Difference[];
  readonly error?: { readonly code: string; readonly message: string };
}

/** One place that an instance could have, and what it would leave free there. */
export interface PossiblePlace {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Devices that the instance would get a share of. */
  readonly gpus: readonly number[];
  /** 0 to 1, the policy's; absent where it gave none. */
  readonly score?: number;
  /** What would be left on the node. */
  readonly leaves: Amounts;
  /** Whether `create-block` would take it now. */
  readonly chosen: boolean;
}

/** Every place that one instance of a block could have now. */
export interface PlacementPreview {
  /** As a dry run decides: which places all instances would get, and why others are refused. */
  readonly decision: Decision;
  /** The best first; bounded. */
  readonly places: readonly PossiblePlace[];
  /** How many there are, and of how many nodes. */
  readonly counts: { readonly places: number; readonly nodes: number; readonly clusters: number };
}
