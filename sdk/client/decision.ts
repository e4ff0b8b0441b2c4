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
] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/**
 * What came out. Of a placement `placed`, `refused` or `dry-run`; of an admission `allowed`, `rewritten` or `refused`; of a
 * loop that watches `changed` or `held`; of a question that changes nothing `answered`; `failed` where no answer came.
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
