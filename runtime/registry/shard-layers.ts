import { isDeepStrictEqual } from 'node:util';
import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { ArtifactFile } from '../../sdk/spec/common.ts';
import type { ComponentSpec } from '../../sdk/spec/component.ts';

/** A component that is a part of a model. */
export interface ShardLayer {
  /** Its stage's hash, as the splitter computed it. */
  readonly hash: string;
  /**
   * Everything that decides its answers, the content of its files included: a hash that only the splitter's author vouches for
   * would let an edited plan run another's weights. Where it stands in which row decides nothing.
   */
  readonly identity: Readonly<Record<string, unknown>>;
  /** Sessions at once; a part of an ONNX graph has none. */
  readonly maxSessions: number;
}

/** @returns what the component is a part of a model by, or undefined when it is none */
export function shardLayerOf({ stage, graph }: ComponentSpec): ShardLayer | undefined {
  if (stage) {
    const { index: _i, count: _c, files, maxSessions, ...rest } = stage;
    return { hash: stage.stageHash, identity: { ...rest, files: contents(files) }, maxSessions };
  }
  if (!graph) return undefined;
  const { index: _i, count: _c, files, ...rest } = graph;
  return { hash: graph.stageHash, identity: { ...rest, files: contents(files) }, maxSessions: 0 };
}

/** Name → hash, in any order. */
const contents = (files: readonly ArtifactFile[]): Readonly<Record<string, string>> =>
  Object.fromEntries(files.map(({ name, hash }) => [name, hash]));

/** Whether a block that runs `layer` gives at least what the planned one would. */
export function canStandIn(
  block: BlockSpec,
  layer: ShardLayer,
  planned: BlockSpec,
  wanted: ShardLayer,
): boolean {
  const { minInstances, maxInstances, threads = 1, ...rest } = block;
  const { minInstances: least, maxInstances: most, threads: wantedThreads = 1, ...asked } = planned;
  const named = { id: '', componentUri: '', resources: undefined };
  return (
    layer.maxSessions >= wanted.maxSessions &&
    minInstances >= least &&
    maxInstances >= most &&
    threads >= wantedThreads &&
    isDeepStrictEqual(layer.identity, wanted.identity) &&
    isDeepStrictEqual(plain({ ...rest, ...named }), plain({ ...asked, ...named }))
  );
}

/** As it would be stored: JSON knows no `undefined`. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
