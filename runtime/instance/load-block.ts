import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Block } from '../../sdk/block.ts';
import { AiosError, BlockError } from '../../sdk/errors.ts';

/**
 * Imports an author's bundled code from this process's folder.
 *
 * @param entry - name of the export: a block, or a component that holds one
 * @throws {BlockError} BLOCK_FAILED - the code threw, or exports no such block
 */
export async function loadBlock(file: string, entry: string): Promise<Block> {
  // Bundles are ES modules whatever their file is called.
  if (!file.endsWith('.mjs') && !existsSync('package.json')) {
    writeFileSync('package.json', '{"type":"module"}\n');
  }
  let exported: unknown;
  try {
    const loaded = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
    exported = loaded[entry];
  } catch (cause) {
    throw new BlockError(
      'BLOCK_FAILED',
      `'${file}' failed to load: ${AiosError.from(cause).message}`,
      {
        cause,
      },
    );
  }
  const block = isBlock(exported) ? exported : (exported as { block?: unknown } | undefined)?.block;
  if (isBlock(block)) return block;
  throw new BlockError(
    'BLOCK_FAILED',
    `'${file}' has no export '${entry}' that is a block. Export the result of defineBlock() or defineComponent().`,
  );
}

const isBlock = (value: unknown): value is Block =>
  typeof value === 'object' &&
  value !== null &&
  (value as Partial<Block>).type === 'block' &&
  typeof (value as Partial<Block>).onData === 'function';
