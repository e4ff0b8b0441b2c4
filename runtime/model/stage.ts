import type { SamplingParameters } from '../../sdk/sampling.ts';

/**
 * Names and shapes of a stage's ONNX graph. `b` is 1 unless `rows` is; rows of a batch may have different lengths.
 *
 * | tensor | dtype, shape | when |
 * |---|---|---|
 * | `input_ids` | int32 [b, rows] | stage with the embedding |
 * | `hidden_in` | float32 [b, rows, hidden] | every other stage |
 * | `seqlens_k` | int32 [b]: index of the last valid key of each row | always |
 * | `total_sequence_length` | int32 []: the longest | always |
 * | `past_key_{i}`, `past_value_{i}` | float32 [b, keyValueHeads, contextTokens, headSize] | each local layer, from 0 |
 * | → `present_key_{i}`, `present_value_{i}` | the same buffers: the cache is written in place | each local layer |
 * | → `hidden_out` | float32 [b, rows, hidden] | stage without the head |
 * | → `logits` | float32 [b, 1, vocabulary]: of the last row | stage with the head |
 */
export const stageTensors = {
  inputIds: 'input_ids',
  hiddenIn: 'hidden_in',
  seqlensK: 'seqlens_k',
  totalSequenceLength: 'total_sequence_length',
  pastKey: (layer: number) => `past_key_${layer}`,
  pastValue: (layer: number) => `past_value_${layer}`,
  presentKey: (layer: number) => `present_key_${layer}`,
  presentValue: (layer: number) => `present_value_${layer}`,
  hiddenOut: 'hidden_out',
  logits: 'logits',
} as const;

/** Bytes left free before every output, so that a frame's header can be written there and nothing is copied. */
export const outputHeadroomBytes = 512;

/** Positions that one session has in common with another, computed in the same steps. */
export interface SharedPrefix {
  readonly session: string;
  readonly tokens: number;
}

export interface StageSessionOptions {
  /** What the session begins with: its first step comes at the position after. */
  readonly shared?: SharedPrefix;
  /** Whose it is: tenants take turns with their prompts. @default '' */
  readonly tenant?: string;
  /** Sampling needs them for the repetition penalty; ignored by stages without the head. */
  readonly promptTokens: readonly number[];
  readonly sampling: SamplingParameters & { readonly seed: number };
}

export interface StepRequest {
  readonly session: string;
  /** First position this step covers; must equal the tokens the session already holds. */
  readonly position: number;
  readonly rows: number;
  /** int32 ids [rows], or float32 activations [rows, hidden]. */
  readonly input: Uint8Array;
  /** Whether a stage with the head must choose a token. */
  readonly sample: boolean;
}

export type StepResult =
  | {
      readonly type: 'activations';
      /** `outputHeadroomBytes` free bytes, then float32 [rows, hidden]. */
      readonly buffer: ArrayBuffer;
      /** Of the batch it was computed in, here and below: that long the step took. */
      readonly computeNs: number;
    }
  | {
      readonly type: 'token';
      readonly token: number;
      /** When log-probabilities were asked for. */
      readonly logprob?: number;
      readonly top?: readonly (readonly [token: number, logprob: number])[];
      readonly computeNs: number;
    }
  /** A prefill chunk of the last stage that is not the last chunk. */
  | { readonly type: 'nothing'; readonly computeNs: number };

/**
 * One stage, loaded: weights, KV cache, sampler. Runs on a worker thread; every method returns at once and never blocks
 * the event loop. A session's steps are computed in the order they were given; steps of one row of all sessions that wait
 * are computed together, longer ones alone, in between.
 */
export interface StageExecutor {
  /** Takes a free slot. @throws {AiosError} BUSY - none is free; SESSION_EXISTS; SESSION_UNKNOWN - what is shared is not held */
  open(session: string, options: StageSessionOptions): void;
  /** @throws {AiosError} SESSION_UNKNOWN, FRAME_OUT_OF_ORDER, TENSOR_MISMATCH, CONTEXT_LENGTH_EXCEEDED */
  step(request: StepRequest): Promise<StepResult>;
  /** Positions computed of a session that is open, or that has ended and whose slot nobody needed since; undefined: gone. */
  heldTokens(session: string, tenant: string): number | undefined;
  /** Frees the slot, after a step that runs. Idempotent. */
  closeSession(session: string): void;
  readonly openSessions: number;
  readonly counters: StageCounters;
  /** Resident bytes of this process with ONNX Runtime loaded, before its graph and weights were. */
  readonly emptyResidentBytes: number;
  /** Lets a running step end, then frees everything. */
  close(): Promise<void>;
}

/** What a stage computed, since its start unless it says otherwise. */
export interface StageCounters {
  /** Steps of one row that were computed, and the batches they were in. */
  readonly decodeSteps: number;
  readonly decodeBatches: number;
  readonly maxBatchSteps: number;
  /** Steps of one row in the last batch of them. */
  readonly lastBatchSteps: number;
  /** Chunks of prompts, one slot at a time. */
  readonly prefillChunks: number;
  readonly prefillTokens: number;
  /** Positions that were copied from another session, not computed. */
  readonly sharedTokens: number;
  /** Slots whose keys and values were copied: into the place of a session that ended, or to be neighbours. */
  readonly kvMoves: number;
  /** Positions that open sessions hold now, in each layer. */
  readonly kvTokens: number;
  /** Outputs copied out of a batch, a row each. */
  readonly outputCopies: number;
  /** A batch counts once. */
  readonly computeNs: number;
  /** Of them, batches of one-row steps. */
  readonly decodeNs: number;
}

export interface StageExecutorOptions {
  /** Absolute path of the graph, beside its weights. */
  readonly graphPath: string;
  readonly stage: import('../../sdk/spec/component.ts').StageSpec;
  readonly threads: number;
  /** Parts that sessions are decoded in, so that each stage of a chain has one to compute. @default the stages of the model */
  readonly microBatches?: number;
  /** Whether ONNX Runtime's threads spin while idle. @default false */
  readonly spin?: boolean;
  /** Once, when the thread that computes ended by itself: nothing works any more. Steps that wait were refused already. */
  readonly onFailure?: (error: Error) => void;
}
