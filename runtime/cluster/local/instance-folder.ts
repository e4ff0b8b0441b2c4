import { copyFile, link, mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { AiosError } from '../../../sdk/errors.ts';
import type { InstanceFile, InstanceProcess } from '../backend.ts';

/** Written by the instance, once its server listens. */
export const processFile = 'instance.json';

const processSchema = z.object({
  pid: z.number().int().positive(),
  startTime: z.string().min(1),
  address: z.string().regex(/^[^\s:]+:\d+$/),
});

/** Links each artifact under its name: ONNX Runtime opens weights only inside the graph's own folder. */
export async function prepareFolder(
  folder: string,
  files: readonly InstanceFile[],
  pathOf: (hash: string) => Promise<string>,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { name, hash } of files) {
    if (basename(name) !== name || name === '' || name.startsWith('.') || name === processFile) {
      throw new AiosError('SPEC_INVALID', `'${name}' cannot be the name of an instance's file.`);
    }
    const source = await pathOf(hash);
    await link(source, join(folder, name)).catch(async (error: NodeJS.ErrnoException) => {
      // The artifact folder lies on another file system, or its file has as many links as it can.
      if (error.code !== 'EXDEV' && error.code !== 'EMLINK' && error.code !== 'EPERM') throw error;
      await copyFile(source, join(folder, name));
    });
  }
}

/** What the instance wrote of itself; undefined while it has not, or not completely. */
export async function readProcessFile(folder: string): Promise<InstanceProcess | undefined> {
  const text = await readFile(join(folder, processFile), 'utf8').catch(() => '');
  try {
    return processSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
