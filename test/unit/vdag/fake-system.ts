import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { InstanceDirectory } from '../../../runtime/control-plane.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { type GenerationLimits, type VdagSpec, vdagSpec } from '../../../sdk/spec/vdag.ts';
import { tinyAssistantFile, tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import type { FakeShard } from './fake-shard.ts';

/** Finds fake shards by block, the next one each time. */
export class FakeDirectory implements InstanceDirectory {
  readonly blocks = new Map<string, FakeShard[]>();
  readonly reported: string[] = [];
  picked = 0;
  outstanding = 0;
  /** Sessions that a block has room for, where that is known. */
  readonly slotsOf = new Map<string, number>();

  add(...shards: FakeShard[]): this {
    for (const shard of shards) {
      this.blocks.set(shard.blockId, [...(this.blocks.get(shard.blockId) ?? []), shard]);
    }
    return this;
  }

  async pick({ blockId }: { blockId: string }) {
    const shards = this.blocks.get(blockId) ?? [];
    const shard = shards[this.picked++ % shards.length];
    if (!shard) throw new AiosError('SHARD_UNAVAILABLE', `block '${blockId}' has no instance.`);
    this.outstanding += 1;
    let released = false;
    return {
      ...shard.routed,
      release: () => {
        if (!released) this.outstanding -= 1;
        released = true;
      },
    };
  }

  slots(_tenant: string, blockId: string) {
    return this.slotsOf.get(blockId);
  }

  report(instanceId: string) {
    this.reported.push(instanceId);
  }
}

const hashOf = (name: string) =>
  `sha256:${createHash('sha256').update(tinyAssistantFile(name)).digest('hex')}`;
const fileNames = ['tokenizer.json', 'tokenizer_config.json'];

/** Serves the tiny assistant's tokenizer from its folder. */
export const tokenizerArtifacts = {
  async path(hash: string): Promise<string> {
    const name = fileNames.find((candidate) => hashOf(candidate) === hash);
    if (!name) throw new AiosError('NOT_FOUND', `artifact '${hash}' does not exist.`);
    return join(tinyAssistantFolder, name);
  },
};

/** A vDAG over the tiny assistant's tokenizer, one node a block. */
export function modelVdag(
  blockIds: readonly string[],
  contextTokens = 64,
  limits?: Partial<GenerationLimits>,
): VdagSpec {
  return vdagSpec.parse({
    uri: 'tiny:1-stable',
    name: 'tiny',
    version: '1',
    releaseTag: 'stable',
    nodes: blockIds.map((blockId) => ({ label: `on-${blockId}`, blockId })),
    edges: blockIds
      .slice(1)
      .map((blockId, index) => ({ from: `on-${blockIds[index]}`, to: `on-${blockId}` })),
    generation: {
      files: fileNames.map((name) => ({
        name,
        hash: hashOf(name),
        sizeBytes: tinyAssistantFile(name).byteLength,
      })),
      contextTokens,
      vocabularySize: 768,
      hiddenSize: 192,
      endTokenIds: [3],
      stages: blockIds.map((blockId) => `on-${blockId}`),
      ...(limits ? { limits } : {}),
    },
  });
}

export const graphVdag = (
  uri: string,
  nodes: readonly object[],
  edges: readonly object[] = [],
): VdagSpec => vdagSpec.parse({ uri, name: uri, version: '1', releaseTag: 'stable', nodes, edges });

/** A resolver over the given documents, by URI or name. */
export const resolverOf =
  (...vdags: VdagSpec[]) =>
  async (_tenant: string, name: string): Promise<VdagSpec> => {
    const found = vdags.find((vdag) => vdag.uri === name || vdag.name === name);
    if (!found) throw new AiosError('NOT_FOUND', `vDAG '${name}' does not exist.`);
    return found;
  };

export async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Waits for a condition that another part of the process brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
