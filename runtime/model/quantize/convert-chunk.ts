import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { SplitError } from '../../../sdk/errors.ts';
import { quantizeRows } from './block-codes.ts';
import type { ConvertedChunk, ConvertJob, FileRange } from './convert-job.ts';
import { decodeFloats, encodeHalves, findNotFinite } from './floats.ts';
import { blocksOf } from './weight-form.ts';

/** Reads, converts and writes chunks on the thread that calls it, in buffers of its own. */
export interface ChunkConverter {
  /**
   * @throws {SplitError} CHECKPOINT_INVALID - a number is not finite or has no place in the form; the file became
   * shorter
   */
  convert(job: ConvertJob): ConvertedChunk;
  close(): void;
}

/** Blocking on purpose: it has a thread of its own, or little to do. */
export function createChunkConverter(): ChunkConverter {
  const files = new Map<string, number>();
  const buffers = { source: Buffer.alloc(0), floats: new Float32Array(0), out: Buffer.alloc(0) };
  const scaleBuffer = { scales: new Float32Array(0) };

  function fileAt(path: string, flags: 'r' | 'r+'): number {
    const key = `${flags} ${path}`;
    const file = files.get(key) ?? openSync(path, flags);
    files.set(key, file);
    return file;
  }

  function read(path: string, range: FileRange, flags: 'r' | 'r+'): Buffer | undefined {
    if (buffers.source.length < range.lengthBytes) {
      buffers.source = Buffer.from(new ArrayBuffer(range.lengthBytes));
    }
    const bytes = buffers.source.subarray(0, range.lengthBytes);
    const file = fileAt(path, flags);
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(file, bytes, done, bytes.length - done, range.offsetBytes + done);
      if (count === 0) return undefined;
      done += count;
    }
    return bytes;
  }

  function write(path: string, bytes: Uint8Array, { offsetBytes }: FileRange): void {
    const file = fileAt(path, 'r+');
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(file, bytes, done, bytes.length - done, offsetBytes + done);
    }
  }

  /** @returns the digest of what lies in the target now; undefined where it is shorter */
  function digestOfTarget({ path, values, scales }: ConvertJob['target']): string | undefined {
    const hash = createHash('sha256');
    for (const range of [values, ...(scales ? [scales] : [])]) {
      const bytes = read(path, range, 'r+');
      if (!bytes) return undefined;
      hash.update(bytes);
    }
    return hash.digest('hex');
  }

  function outBytes(lengthBytes: number): Buffer {
    if (buffers.out.length < lengthBytes) buffers.out = Buffer.from(new ArrayBuffer(lengthBytes));
    return buffers.out.subarray(0, lengthBytes);
  }

  /** @returns the values' bytes and the scales' */
  function converted(job: ConvertJob, bytes: Buffer): readonly Uint8Array[] {
    const { form, rows, inputs, source, target } = job;
    const count = rows * inputs;
    if (buffers.floats.length < count) buffers.floats = new Float32Array(count);
    const floats = buffers.floats.subarray(0, count);
    decodeFloats(bytes, source.dtype, floats);
    if (form.type === 'blocks') {
      const blocks = rows * blocksOf(inputs, form);
      if (scaleBuffer.scales.length < blocks) scaleBuffer.scales = new Float32Array(blocks);
      const scales = scaleBuffer.scales.subarray(0, blocks);
      const codes = outBytes(target.values.lengthBytes);
      const bad = quantizeRows(floats, rows, inputs, form, codes, scales);
      if (bad !== -1) throw unfit(job, findNotFinite(floats, count), floats);
      return [codes, new Uint8Array(scales.buffer, 0, scales.byteLength)];
    }
    const bad = findNotFinite(floats, count);
    if (bad !== -1) throw unfit(job, bad, floats);
    if (form.type === 'as-is') return [bytes];
    if (form.dtype === 'F32') return [new Uint8Array(floats.buffer, 0, floats.byteLength)];
    const halves = outBytes(target.values.lengthBytes);
    const tooLarge = encodeHalves(
      floats,
      count,
      new Uint16Array(halves.buffer, halves.byteOffset, count),
    );
    if (tooLarge !== -1) throw unfit(job, tooLarge, floats);
    return [halves];
  }

  return {
    convert(job) {
      const { id, digest: expected, source, target } = job;
      if (expected !== undefined && digestOfTarget(target) === expected) {
        return { id, digest: expected, kept: true };
      }
      const bytes = read(source.path, source, 'r');
      if (!bytes) {
        throw new SplitError(
          'CHECKPOINT_INVALID',
          `${source.path} became shorter while tensor '${job.tensor}' was read from it. Fetch the file again.`,
        );
      }
      const [values = bytes, scales] = converted(job, bytes);
      const hash = createHash('sha256').update(values);
      write(target.path, values, target.values);
      if (scales && target.scales) {
        hash.update(scales);
        write(target.path, scales, target.scales);
      }
      return { id, digest: hash.digest('hex'), kept: false };
    },
    close() {
      for (const file of files.values()) closeSync(file);
      files.clear();
    },
  };
}

function unfit({ tensor, firstRow, inputs, form }: ConvertJob, at: number, floats: Float32Array) {
  const value = floats[at] ?? Number.NaN;
  const where = `[${firstRow + Math.floor(at / inputs)}, ${at % inputs}]`;
  const why = Number.isFinite(value)
    ? `${value} is beyond fp16. Use --dtype fp32, int8 or int4, or none`
    : `${value} is no weight. Fetch the checkpoint again`;
  return new SplitError('CHECKPOINT_INVALID', `tensor '${tensor}' at ${where}: ${why}.`, {
    problems: [
      {
        path: `${tensor}${where}`,
        message: 'has no place in the form that was asked for.',
        expected: form.type === 'float' && form.dtype === 'F16' ? '-65504 to 65504' : 'a number',
        seen: String(value),
      },
    ],
  });
}
