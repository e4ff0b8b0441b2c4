import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError, type Problem } from '../../sdk/errors.ts';
import { createChatTemplate } from './chat-template.ts';
import { readJsonFile } from './config-file.ts';
import { loadTokenizer, tokenizerLimits } from './tokenizer.ts';

/** Folder beside `plan.json` that holds what the generation driver needs. */
export const tokenizerFolder = 'tokenizer';
const requiredFile = 'tokenizer.json';
const configFile = 'tokenizer_config.json';
const templateFile = 'chat_template.jinja';
const optionalFiles = [configFile, 'generation_config.json', 'config.json', templateFile];
const maxTokenizerBytes = tokenizerLimits.tokenizerBytes;

/** Checks that a tokenizer is there, and loads as it will for a chat. @returns the names of its files in the model's folder */
export async function findTokenizerFiles(
  modelFolder: string,
  problems: Problem[],
): Promise<readonly string[]> {
  const before = problems.length;
  await readJsonFile(modelFolder, requiredFile, maxTokenizerBytes, problems);
  const found = [requiredFile];
  for (const name of optionalFiles) {
    const file = await stat(join(modelFolder, name)).catch(() => undefined);
    if (!file?.isFile()) continue;
    if (name.endsWith('.json')) await readJsonFile(modelFolder, name, maxTokenizerBytes, problems);
    found.push(name);
  }
  if (problems.length === before) problems.push(...(await findTokenizerFaults(modelFolder, found)));
  return found;
}

async function findTokenizerFaults(
  modelFolder: string,
  found: readonly string[],
): Promise<Problem[]> {
  const read = (name: string) => readFile(join(modelFolder, name));
  const tokenizer = await read(requiredFile);
  const config = found.includes(configFile) ? await read(configFile) : undefined;
  try {
    const { chatTemplate } = loadTokenizer({ tokenizer, ...(config ? { config } : {}) });
    const template = found.includes(templateFile)
      ? new TextDecoder().decode(await read(templateFile))
      : chatTemplate;
    if (template !== undefined) createChatTemplate({ template });
    return [];
  } catch (thrown) {
    const { message, problems } = AiosError.from(thrown);
    const file = message.startsWith(configFile) ? configFile : requiredFile;
    const expected = 'a tokenizer of the Hugging Face kind, as for a chat';
    if (problems.length === 0) return [{ path: file, message, expected }];
    return problems.map((problem) => ({ ...problem, path: `${file}: ${problem.path}` }));
  }
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
