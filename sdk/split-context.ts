import type { LayerStatus } from './client/layer.ts';
import type { ContentHash } from './ids.ts';
import type { OnnxShardGraph } from './onnx-graph.ts';
import type { Json } from './packet.ts';
import type { ArtifactFile } from './spec/common.ts';
import type { SplitPlan } from './spec/plan.ts';
import type { GraphPlanParts, StagePlanParts } from './split-parts.ts';
import type { ModelOutline, SplitContext, Splitter } from './splitter.ts';

/** The task that a split is. */
export interface SplitTaskContext {
  /** `local` where `aios split` runs it without a control plane. */
  readonly id: string;
  /** 1 at first, one more at each retry. */
  readonly attempt: number;
  /** A line for `aios split-task logs`; the last 1000 are kept. */
  readonly log: (line: string) => void;
}

/** The model's folder, or the folder of its file. */
export interface SplitModelContext {
  /** In the characters that a URI takes. */
  readonly name: string;
  /** Plain files, without those in folders below; in order of name. At most 10000. */
  files(): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]>;
  /**
   * A bounded JSON file beside the weights.
   * @param maxBytes - @default 64 MiB
   * @throws {SplitError} CHECKPOINT_INVALID - missing, too large, no JSON, or a name that leaves the folder
   */
  readJson(name: string, maxBytes?: number): Promise<unknown>;
  /**
   * What a built-in splitter sees in it.
   * @throws {SplitError} ARCHITECTURE_UNSUPPORTED - none takes it; CHECKPOINT_INVALID
   */
  outline(): Promise<ModelOutline>;
}

/** Parts of models by the hash of their stage. Without a control plane nothing is known and notes are dropped. */
export interface SplitLayerContext {
  /** @returns where it runs and what is noted of it; undefined: nobody knows it */
  find(stageHash: string): Promise<LayerStatus | undefined>;
  /** Notes a layer under its hash, for those who split after. */
  register(layer: {
    readonly hash: string;
    readonly model?: string;
    readonly metadata?: { readonly [key: string]: Json };
  }): Promise<void>;
}

/** Leaves no hash open. */
export interface CompleteSplitter extends Splitter {
  finish(context: SplitContext, done: unknown): Promise<SplitPlan>;
}

/** What built-in splitters are made of. */
export interface SplitTools {
  /**
   * A built-in splitter, whose stages may be called with a context of one's own. Its plan is complete.
   * @throws {AiosError} NOT_FOUND
   */
  splitter(name: 'decoder' | 'onnx'): CompleteSplitter;
  /** An ONNX model file's bytes. */
  encodeGraph(graph: OnnxShardGraph): Uint8Array;
  /** The name, hash and size of a written file. @param path - absolute */
  describeFile(path: string): Promise<ArtifactFile>;
  /** The identity of a shard: its graph and its files. The same shard has the same one wherever it is written. */
  stageHash(graph: Uint8Array, files?: readonly ArtifactFile[]): ContentHash;
  /** Components, blocks and vDAG of a split language model. */
  createSplitPlan(parts: StagePlanParts): SplitPlan;
  /** Components, blocks and vDAG of parts that hand tensors on in a row. */
  createGraphPlan(parts: GraphPlanParts): SplitPlan;
}
