import type { Json } from '../packet.ts';

/** A block that runs a layer. */
export interface LayerBlock {
  readonly id: string;
  readonly readyInstances: number;
  readonly wantedInstances: number;
  /** Promised to one instance. */
  readonly memoryBytes?: number;
}

/** A part of a model that runs or was registered, by the hash of its stage. */
export interface LayerStatus {
  readonly hash: string;
  /** Of a language model, of an ONNX graph, or registered and in no document. */
  readonly kind: 'stage' | 'graph' | 'registered';
  /** Both inclusive. */
  readonly layers?: readonly [first: number, last: number];
  /** Of the artifacts that an instance needs, each once. Shards of one checkpoint share its files. */
  readonly fileBytes: number;
  readonly components: readonly string[];
  readonly blocks: readonly LayerBlock[];
  /** URIs of the vDAGs that any of the blocks serves. */
  readonly vdags: readonly string[];
  /** What a splitter noted of it. */
  readonly noted?: LayerNote;
}

/** What is kept of a layer beside what runs. */
export interface LayerNote {
  readonly model?: string;
  readonly metadata?: { readonly [key: string]: Json };
  readonly notedAtMs: number;
}

export interface LayerNoteRequest {
  readonly hash: string;
  readonly model?: string;
  /** @default {} */
  readonly metadata?: { readonly [key: string]: Json };
}

/** Parts of models. */
export interface LayerCalls {
  /** In order of hash. */
  layers(): Promise<readonly LayerStatus[]>;
  /** @throws {AiosError} NOT_FOUND - it neither runs nor is registered */
  layer(hash: string): Promise<LayerStatus>;
  /** Notes a layer; what was noted before is replaced. */
  registerLayer(request: LayerNoteRequest): Promise<LayerStatus>;
  /** Forgets the note. What runs stays. */
  forgetLayer(hash: string): Promise<void>;
}
