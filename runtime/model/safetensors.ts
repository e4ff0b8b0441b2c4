import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { type Problem, shorten } from '../../sdk/errors.ts';
import { findHeaderFaults } from './safetensors-keys.ts';

/** Bits of one element of each type that the format knows. */
const elementBits = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
} as const;

export type SafetensorsType = keyof typeof elementBits;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** Of the first byte, from the start of the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: readonly SafetensorsTensor[];
  /** Every broken rule; a file with problems must not be used. */
  readonly problems: readonly Problem[];
}

/** The format's own limit. */
export const maxHeaderBytes = 100_000_000;
const lengthPrefixBytes = 8;
const maxProblems = 100;

const integer = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const tensorEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(integer),
  data_offsets: z.tuple([integer, integer]),
});
const metadataEntry = z.record(z.string(), z.string());

/**
 * Reads the header of a safetensors file and checks every rule of the format; the data are not read. Allocates the
 * header's bytes, and only after its length was found plausible.
 *
 * @param path - absolute
 * @param fileName - how problems name the file
 * @see https://huggingface.co/docs/safetensors/index#format
 */
export async function readSafetensorsHeader(
  path: string,
  fileName: string,
): Promise<SafetensorsHeader> {
  const file = await open(path, 'r');
  try {
    const { size: fileSizeBytes } = await file.stat();
    const headerBytes = await readHeaderLength(file, fileSizeBytes, fileName);
    if (typeof headerBytes !== 'number') return { tensors: [], problems: [headerBytes] };
    const header = await readExactly(file, lengthPrefixBytes, headerBytes);
    return parseSafetensorsHeader(header, fileSizeBytes, fileName);
  } finally {
    await file.close();
  }
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

async function readHeaderLength(
  file: FileHandle,
  fileSizeBytes: number,
  fileName: string,
): Promise<number | Problem> {
  const path = `${fileName}@0`;
  if (fileSizeBytes < lengthPrefixBytes) {
    return {
      path,
      message: 'is too short to be a safetensors file.',
      expected: 'an 8-byte header length',
      seen: `a file of ${fileSizeBytes} bytes`,
    };
  }
  const length = (await readExactly(file, 0, lengthPrefixBytes)).readBigUInt64LE();
  const limit = Math.min(maxHeaderBytes, fileSizeBytes - lengthPrefixBytes);
  if (length >= 2n && length <= BigInt(limit)) return Number(length);
  const message =
    length > BigInt(maxHeaderBytes)
      ? 'has a header length over the limit of the format.'
      : 'has a header length that does not fit in the file: it is truncated or not safetensors.';
  return { path, message, expected: `2 to ${limit} bytes`, seen: `${length} bytes` };
}

/** The header's JSON as read, checked against the size of its file. Never throws on any input. */
export function parseSafetensorsHeader(
  header: Uint8Array,
  fileSizeBytes: number,
  fileName: string,
): SafetensorsHeader {
  const problems: Problem[] = [];
  const entries = parseEntries(header, fileName, problems);
  const dataStart = lengthPrefixBytes + header.byteLength;
  const tensors: SafetensorsTensor[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const path = `${fileName}: ${shortName(name)}`;
    const tensor = name === '__metadata__' ? metadataFaults(entry) : toTensor(name, entry);
    if (isTensor(tensor)) tensors.push({ ...tensor, offsetBytes: tensor.offsetBytes + dataStart });
    else problems.push(...tensor.map((fault) => ({ ...fault, path })));
    if (problems.length >= maxProblems) break;
  }
  // A tensor that could not be read would look like a hole.
  if (problems.length === 0)
    problems.push(...checkLayout(tensors, dataStart, fileSizeBytes, fileName));
  return { tensors, problems: problems.slice(0, maxProblems) };
}

function parseEntries(
  header: Uint8Array,
  fileName: string,
  problems: Problem[],
): Record<string, unknown> {
  const path = `${fileName}@${lengthPrefixBytes}`;
  const expected = 'a JSON object of tensors';
  let json: string;
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    problems.push({ path, message: 'the header is not UTF-8.', expected });
    return {};
  }
  for (const fault of findHeaderFaults(json)) {
    problems.push({ path, message: `the header ${fault}`, expected: 'each name once' });
  }
  if (problems.length > 0) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : 'unreadable';
    problems.push({ path, message: `the header is not JSON: ${reason}.`, expected });
    return {};
  }
  if (json[0] !== '{' || typeof parsed !== 'object' || parsed === null) {
    problems.push({ path, message: 'the header is no object.', expected, seen: shorten(parsed) });
    return {};
  }
  return parsed as Record<string, unknown>;
}

type Fault = Omit<Problem, 'path'>;

const isTensor = (value: SafetensorsTensor | readonly Fault[]): value is SafetensorsTensor =>
  'offsetBytes' in value;

function metadataFaults(entry: unknown): Fault[] {
  if (metadataEntry.safeParse(entry).success) return [];
  return [{ message: 'is malformed.', expected: 'an object of texts', seen: shorten(entry) }];
}

/** @returns the tensor with offsets from the start of the data, or what is wrong with it */
function toTensor(name: string, entry: unknown): SafetensorsTensor | Fault[] {
  const parsed = tensorEntry.safeParse(entry);
  if (!parsed.success) {
    return parsed.error.issues.slice(0, 4).map((issue) => ({
      message: `is malformed at '${issue.path.join('.')}': ${issue.message}.`,
      expected: '{ dtype, shape: [size…], data_offsets: [begin, end] }',
      seen: shorten(entry),
    }));
  }
  const { dtype, shape, data_offsets } = parsed.data;
  const [begin, end] = data_offsets;
  if (!Object.hasOwn(elementBits, dtype)) {
    const expected = Object.keys(elementBits).join(', ');
    return [{ message: 'has an unknown dtype.', expected, seen: shorten(dtype) }];
  }
  if (end < begin) {
    const seen = `[${begin}, ${end}]`;
    return [{ message: 'ends before it begins.', expected: 'begin ≤ end', seen }];
  }
  const known = dtype as SafetensorsType;
  const bits = shape.reduce((product, dimension) => product * dimension, 1) * elementBits[known];
  if (!Number.isSafeInteger(bits) || bits !== (end - begin) * 8) {
    return [
      {
        message: `has data_offsets [${begin}, ${end}] that do not hold ${dtype} [${shape}].`,
        expected: `${bits / 8} bytes`,
        seen: `${end - begin} bytes`,
      },
    ];
  }
  return { name, dtype: known, shape, offsetBytes: begin, lengthBytes: end - begin };
}

/** The data must be covered exactly: no overlap, no hole, no byte past the last tensor. */
function checkLayout(
  tensors: readonly SafetensorsTensor[],
  dataStart: number,
  fileSizeBytes: number,
  fileName: string,
): Problem[] {
  const problems: Problem[] = [];
  const ordered = [...tensors].sort(
    (a, b) => a.offsetBytes - b.offsetBytes || a.lengthBytes - b.lengthBytes,
  );
  const lost: string[] = [];
  let covered = dataStart;
  for (const { name, offsetBytes, lengthBytes } of ordered) {
    if (problems.length >= maxProblems) return problems;
    if (offsetBytes !== covered) {
      problems.push({
        path: `${fileName}@${offsetBytes}`,
        message:
          offsetBytes < covered
            ? `tensor '${shortName(name)}' overlaps the one before it.`
            : `a hole lies before tensor '${shortName(name)}'.`,
        expected: `its first byte at ${covered}`,
        seen: String(offsetBytes),
      });
    }
    const end = offsetBytes + lengthBytes;
    if (end > fileSizeBytes) lost.push(name);
    covered = Math.max(covered, end);
  }
  const [firstLost] = lost;
  if (firstLost !== undefined) {
    problems.push({
      path: fileName,
      message: `is truncated: ${fileSizeBytes} of ${covered} bytes; ${lost.length} tensor${lost.length === 1 ? '' : 's'} lost, first '${shortName(firstLost)}'.`,
      expected: 'the whole file; fetch it again',
    });
  }
  if (covered < fileSizeBytes) {
    problems.push({
      path: `${fileName}@${covered}`,
      message: 'bytes follow the last tensor.',
      expected: `a file of ${covered} bytes`,
      seen: `${fileSizeBytes} bytes`,
    });
  }
  return problems;
}

const shortName = (name: string) => (name.length <= 120 ? name : `${name.slice(0, 117)}…`);
