import { copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../sdk/errors.ts';
import { readJsonFile } from './config-file.ts';

/** Folder beside `plan.json` that holds what the generation driver needs. */
export const tokenizerFolder = 'tokenizer';
const requiredFile = 'tokenizer.json';
const optionalFiles = [
  'tokenizer_config.json',
  'generation_config.json',
  'config.json',
  'chat_template.jinja',
];
const maxTokenizerBytes = 128 * 2 ** 20;

/** Checks that a tokenizer is there. @returns the names of its files in the model's folder */
export async function findTokenizerFiles(
  modelFolder: string,
  problems: Problem[],
): Promise<readonly string[]> {
  await readJsonFile(modelFolder, requiredFile, maxTokenizerBytes, problems);
  const found = [requiredFile];
  for (const name of optionalFiles) {
    const file = await stat(join(modelFolder, name)).catch(() => undefined);
    if (!file?.isFile()) continue;
    if (name.endsWith('.json')) await readJsonFile(modelFolder, name, maxTokenizerBytes, problems);
    found.push(name);
  }
  return found;
}

/** Copied, never linked: they are small, and an edit in the model's folder must not reach a finished split. */
export async function copyTokenizerFiles(
  modelFolder: string,
  outFolder: string,
  names: readonly string[],
): Promise<void> {
  await mkdir(join(outFolder, tokenizerFolder), { recursive: true });
  for (const name of names) {
    await copyFile(join(modelFolder, name), join(outFolder, tokenizerFolder, name));
  }
}
