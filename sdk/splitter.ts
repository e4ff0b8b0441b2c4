import { AiosError } from './errors.ts';
import type { LayerAmounts } from './hooks.ts';
import type { ContentHash } from './ids.ts';
import type { ShardPlan, WeightDtype, WrittenPlan } from './spec/plan.ts';
import type {
  SplitLayerContext,
  SplitModelContext,
  SplitTaskContext,
  SplitTools,
} from './split-context.ts';

/** What a planner needs to know of a model before it is cut. */
export interface ModelOutline {
  readonly name: string;
  readonly architecture: string;
  readonly contextTokens: number;
  readonly layers: readonly LayerAmounts[];
  readonly embeddingBytes: number;
  readonly headBytes: number;
  readonly overheadBytes: number;
  /** What goes from one shard to the next at each token. */
  readonly activationBytes?: number;
  /** What the weights are converted to; absent where they cannot be. */
  readonly weightDtype?: string;
}

/** What each stage of a splitter is given. The same in all of them, but for `outFolder` and whose progress it is. */
export interface SplitContext {
  readonly task: SplitTaskContext;
  readonly model: SplitModelContext;
  readonly layers: SplitLayerContext;
  readonly tools: SplitTools;
  /** Folder of the model, or its file, as the user named it. */
  readonly modelFolder: string;
  /** Where stages and `plan.json` are written. */
  readonly outFolder: string;
  /** Sessions whose KV cache each shard holds at once. */
  readonly maxSessions: number;
  /** Copy each shard's ranges instead of linking the checkpoint's file. */
  readonly copy: boolean;
  /** What weights are to be converted to. Absent: used as they lie. */
  readonly dtype?: WeightDtype;
  /** Numbers that share a scale, where `dtype` has scales. Absent: as the splitter finds best. */
  readonly blockSize?: number;
  /** Longest prompt and answer together. Absent: as long as the model was made for. */
  readonly contextTokens?: number;
  /** How many the user asked for. Absent: the planner says. */
  readonly shards?: number;
  /** Tensors at which the user wants the graph cut, one a cut; empty: the splitter and the planner choose. */
  readonly cutTensors: readonly string[];
  /** URI of the planner policy, for the record. */
  readonly planner: string;
  /**
   * Asks the planner policy where to cut, and checks its answer.
   * @returns index of each shard's first layer, ascending from 0
   * @throws {SplitError} SPLIT_INFEASIBLE, SPLIT_PLAN_INVALID
   */
  readonly plan: (outline: ModelOutline) => Promise<readonly number[]>;
  /** Hashes a file's content once: the answer is kept by path, size, time and inode. */
  readonly hashFile: (
    path: string,
    /** Bytes since the last call; `known`: they need not be read. */
    onBytes?: (bytes: number, known: boolean) => void,
  ) => Promise<ContentHash>;
  readonly signal: AbortSignal;
  /** Fraction done, 0 to 1, of the current stage. */
  readonly progress: (fraction: number, message: string) => void;
}

/** What one shard takes. */
export type ShardAmounts = Omit<ShardPlan, 'index' | 'folder'>;

/** Writes the stages of a model. A planner (a policy) says where to cut; a splitter cuts. */
export interface Splitter {
  readonly type: 'splitter';
  readonly name: string;
  readonly description: string;
  /** Whether it cuts at tensors that the user names. @default false */
  readonly cutsTensors?: boolean;
  /** Whether it converts weights to another type. @default false */
  readonly convertsWeights?: boolean;
  /** Whether it can split this folder or file. Cheap: looks at names and `config.json`. */
  accepts(modelFolder: string): Promise<boolean>;
  /** Reads and checks everything; writes nothing. */
  begin(context: SplitContext): Promise<unknown>;
  /** What the shards will take, in order, before anything is written. */
  shards?(begun: unknown): readonly ShardAmounts[];
  /**
   * A name for all that `main` will write. Where it has one, what a killed or cancelled `main` left in `outFolder` is
   * there again when a split of the same name starts. Absent or undefined: every split begins from nothing.
   */
  resumeKey?(context: SplitContext, begun: unknown): string | undefined;
  /** Writes the stages into `outFolder`. */
  main(context: SplitContext, begun: unknown): Promise<unknown>;
  /**
   * Computes identities and gives the plan; the caller writes `plan.json` last. A built-in splitter leaves the hashes of
   * linked files open.
   */
  finish(context: SplitContext, done: unknown): Promise<WrittenPlan>;
}

export interface SplitterDefinition<Begun, Done>
  extends Omit<Splitter, 'type' | 'begin' | 'shards' | 'resumeKey' | 'main' | 'finish'> {
  begin(context: SplitContext): Promise<Begun>;
  shards?(begun: Begun): readonly ShardAmounts[];
  resumeKey?(context: SplitContext, begun: Begun): string | undefined;
  main(context: SplitContext, begun: Begun): Promise<Done>;
  finish(context: SplitContext, done: Done): Promise<WrittenPlan>;
}

/** @throws {AiosError} SPEC_INVALID - a stage is missing */
export function defineSplitter<Begun, Done>(definition: SplitterDefinition<Begun, Done>): Splitter {
  for (const stage of ['accepts', 'begin', 'main', 'finish'] as const) {
    if (typeof definition[stage] !== 'function') {
      throw new AiosError(
        'SPEC_INVALID',
        `splitter '${definition.name}' needs the function ${stage}().`,
      );
    }
  }
  return Object.freeze({ ...definition, type: 'splitter' as const }) as Splitter;
}
