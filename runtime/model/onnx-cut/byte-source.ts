import { closeSync, openSync, readSync } from 'node:fs';
import type { CheckpointFile } from '../checkpoint.ts';

const windowBytes = 64 * 2 ** 10;

/** Consecutive bytes of a file. */
export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Reads a file where it is asked to, through one small window: weights that are skipped are never read. */
export class ByteSource {
  readonly file: CheckpointFile;
  #descriptor: number | undefined;
  #window = Buffer.alloc(0);
  #windowAt = 0;

  constructor(file: CheckpointFile) {
    this.file = file;
  }

  /** @returns a copy; shorter than asked where the file ends */
  bytes({ offsetBytes, lengthBytes }: ByteRange): Uint8Array {
    const bytes = Buffer.alloc(
      Math.max(0, Math.min(lengthBytes, this.file.sizeBytes - offsetBytes)),
    );
    return bytes.subarray(0, this.#read(bytes, offsetBytes));
  }

  /** @returns the byte there, or -1 past the end */
  byteAt(offset: number): number {
    const index = offset - this.#windowAt;
    const byte = index >= 0 ? this.#window[index] : undefined;
    if (byte !== undefined) return byte;
    const window = Buffer.alloc(windowBytes);
    this.#window = window.subarray(0, this.#read(window, offset));
    this.#windowAt = offset;
    return this.#window[0] ?? -1;
  }

  /** Frees the file; the next read opens it again. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#window = Buffer.alloc(0);
  }

  #read(target: Buffer, offset: number): number {
    this.#descriptor ??= openSync(this.file.path, 'r');
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.#descriptor, target, done, target.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }
}
