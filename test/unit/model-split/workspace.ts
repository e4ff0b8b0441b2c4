import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type SplitModelOptions, splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';

/** A folder that is gone when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-split-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Layers as even as they go, the larger shards first. */
export function evenFirstLayers(layers: number, shards: number): number[] {
  return Array.from({ length: shards }, (_, index) => Math.ceil((index * layers) / shards));
}

type Options = Partial<SplitModelOptions> & { readonly shards?: number };

/** Splits into `shards` even shards, with a hash cache of its own. */
export async function split(modelFolder: string, outFolder: string, options: Options = {}) {
  const { shards = 1, ...rest } = options;
  return splitModel({
    modelFolder,
    outFolder,
    splitters,
    plan: async ({ layers }) => ({ firstLayers: evenFirstLayers(layers.length, shards) }),
    hashCachePath: `${outFolder}.hashes.json`,
    ...rest,
  });
}
