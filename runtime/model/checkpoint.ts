import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Problem, SplitError } from '../../sdk/errors.ts';
import { readJsonFile } from './config-file.ts';
import { readSafetensorsHeader, type SafetensorsTensor } from './safetensors.ts';

export interface CheckpointFile {
  /** Plain name inside the model's folder. */
  readonly name: string;
  /** Absolute, symbolic links resolved: Hugging Face's cache is made of them, and a hard link must name the file itself. */
  readonly path: string;
  readonly sizeBytes: number;
  /** When its content changed last. */
  readonly modifiedNs: string;
}

export interface CheckpointTensor extends SafetensorsTensor {
  readonly file: CheckpointFile;
}

/** The tensors of a model, wherever their files. Nothing is loaded. */
export interface Checkpoint {
  readonly files: readonly CheckpointFile[];
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

const singleFile = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';
const maxIndexBytes = 64 * 2 ** 20;
const maxFiles = 10_000;
/** More are not shown, and an index of megabytes could have millions. */
const maxProblems = 200;
/** Also the rule for names of a stage's files. No folders: a name that escapes could link any file into a stage. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.safetensors$/;

const shortName = (name: string) => (name.length <= 120 ? name : `${name.slice(0, 117)}…`);

const index = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}

/**
 * Reads the headers of `model.safetensors`, or of the files that `model.safetensors.index.json` lists. Every problem is
 * added to `problems`; what could be read is returned.
 */
export async function openCheckpoint(
  modelFolder: string,
  problems: Problem[],
): Promise<Checkpoint> {
  const files: CheckpointFile[] = [];
  const tensors = new Map<string, CheckpointTensor>();
  const listed = await listTensors(modelFolder, problems);

  for (const [name, expectedTensors] of listed) {
    const opened = await openFile(modelFolder, name, problems);
    if (!opened) continue;
    const { file, fileTensors } = opened;
    files.push(file);
    for (const tensor of fileTensors) {
      if (!expectedTensors || expectedTensors.delete(tensor.name)) {
        tensors.set(tensor.name, { ...tensor, file });
        continue;
      }
      if (problems.length >= maxProblems) break;
      problems.push({
        path: `${name}: ${shortName(tensor.name)}`,
        message: `is in this file, but ${indexFile} does not list it here.`,
        expected: `weight_map["${shortName(tensor.name)}"] = "${name}"`,
      });
    }
    for (const missing of expectedTensors ?? []) {
      if (problems.length >= maxProblems) break;
      problems.push({
        path: `${indexFile}: $.weight_map["${shortName(missing)}"]`,
        message: `names ${name}, which does not hold this tensor.`,
        expected: 'the file that holds it; fetch index and files again, of one revision',
      });
    }
  }
  return { files, tensors };
}

/** @throws {SplitError} CHECKPOINT_INVALID - a file is another than when it was opened */
export async function assertUnchanged({ files }: Checkpoint): Promise<void> {
  for (const { path, sizeBytes, modifiedNs } of files) {
    const { size, mtimeNs } = await stat(path, { bigint: true });
    if (Number(size) === sizeBytes && `${mtimeNs}` === modifiedNs) continue;
    throw new SplitError(
      'CHECKPOINT_INVALID',
      `${path} was written to during the split. Wait until it is complete, then split again.`,
    );
  }
}

/** File → the tensors it must hold; undefined means whatever it holds. */
async function listTensors(
  modelFolder: string,
  problems: Problem[],
): Promise<Map<string, Set<string> | undefined>> {
  const files = new Map<string, Set<string>>();
  if (await isFile(join(modelFolder, singleFile))) return new Map([[singleFile, undefined]]);
  if (!(await isFile(join(modelFolder, indexFile)))) {
    const expected = `${singleFile}, or ${indexFile} and the files it lists`;
    problems.push({ path: modelFolder, message: 'holds no safetensors weights.', expected });
    return files;
  }
  const document = await readJsonFile(modelFolder, indexFile, maxIndexBytes, problems);
  if (document === undefined) return files;
  const parsed = index.safeParse(document);
  if (!parsed.success) {
    const expected = '{ weight_map: { tensor: file } }';
    problems.push({ path: `${indexFile}: $.weight_map`, message: 'is malformed.', expected });
    return files;
  }
  for (const [tensor, file] of Object.entries(parsed.data.weight_map)) {
    if (!plainName.test(file)) {
      problems.push({
        path: `${indexFile}: $.weight_map["${shortName(tensor)}"]`,
        message: 'names a file outside the folder, or not of this format.',
        expected: "a plain name that ends in '.safetensors'",
        seen: JSON.stringify(file.slice(0, 200)),
      });
      if (problems.length > 100) break;
      continue;
    }
    const known = files.get(file);
    if (known) known.add(tensor);
    else files.set(file, new Set([tensor]));
  }
  if (files.size > maxFiles) {
    const expected = `at most ${maxFiles}`;
    problems.push({ path: indexFile, message: 'lists too many files.', expected });
    files.clear();
  }
  return files;
}

async function openFile(
  modelFolder: string,
  name: string,
  problems: Problem[],
): Promise<{ file: CheckpointFile; fileTensors: readonly SafetensorsTensor[] } | undefined> {
  try {
    const path = await realpath(join(modelFolder, name));
    const { size, mtimeNs } = await stat(path, { bigint: true });
    const header = await readSafetensorsHeader(path, name);
    problems.push(...header.problems);
    if (header.problems.length > 0) return undefined;
    const file = { name, path, sizeBytes: Number(size), modifiedNs: `${mtimeNs}` };
    return { file, fileTensors: header.tensors };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.push({
      path: name,
      message: `cannot be opened: ${reason}.`,
      expected: `a safetensors file in ${modelFolder}`,
    });
  }
  return undefined;
}
