import type { Problem } from '../../../sdk/errors.ts';
import type { CheckpointFile } from '../checkpoint.ts';
import type { ByteRange, ByteSource } from './byte-source.ts';
import { graphLimits, type TensorPlace } from './onnx-file.ts';
import { ProtoFault } from './proto-reader.ts';

type Counted = 'nodes' | 'tensors' | 'values';

/** A graph holds more than any model does: reading stops at once. */
export class GraphTooLarge extends ProtoFault {}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** What one reading of a file has seen: the budget it keeps to, and everything that is wrong. */
export class GraphReading {
  readonly source: ByteSource;
  readonly problems: Problem[] = [];
  readonly limits = graphLimits;
  readonly #files: ReadonlyMap<string, CheckpointFile | string>;
  readonly #counts = { nodes: 0, tensors: 0, values: 0 };
  /** External files that were asked for and not looked at yet. */
  readonly wantedFiles = new Set<string>();
  #metadataBytes = 0;

  /** @param files - external location → its file, or why it cannot be used */
  constructor(source: ByteSource, files: ReadonlyMap<string, CheckpointFile | string>) {
    this.source = source;
    this.#files = files;
  }

  problem(offsetBytes: number, message: string): void {
    if (this.problems.length >= graphLimits.problems) return;
    this.problems.push({ path: `${this.source.file.name}@${offsetBytes}`, message });
  }

  count(what: Counted, { offsetBytes }: ByteRange): void {
    this.#counts[what] += 1;
    if (this.#counts[what] > graphLimits[what]) {
      throw new GraphTooLarge(offsetBytes, `the graph has more than ${graphLimits[what]} ${what}.`);
    }
  }

  /** Counts bytes that will be written into a shard. */
  keep(bytes: number, { offsetBytes }: ByteRange): void {
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > graphLimits.metadataBytes) {
      throw new GraphTooLarge(
        offsetBytes,
        'the graph holds more than 256 MiB beside raw weights. Save its tensors as raw or external data.',
      );
    }
  }

  text(content: ByteRange): string {
    if (content.lengthBytes > graphLimits.nameBytes) {
      throw new ProtoFault(
        content.offsetBytes,
        `a name is longer than ${graphLimits.nameBytes} bytes.`,
      );
    }
    try {
      return decoder.decode(this.source.bytes(content));
    } catch {
      throw new ProtoFault(content.offsetBytes, 'a name is not UTF-8.');
    }
  }

  /** Reads a part; one that is damaged is noted and left out, so that the rest is looked at too. */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ProtoFault) || error instanceof GraphTooLarge) throw error;
      this.problem(error.offsetBytes, error.message);
      return undefined;
    }
  }

  /** @returns where an external tensor lies; undefined after noting why it cannot be there */
  external(
    name: string,
    entries: ReadonlyMap<string, string>,
    sizeBytes: number,
    { offsetBytes: at }: ByteRange,
  ): TensorPlace | undefined {
    const location = entries.get('location') ?? '';
    const offset = entries.get('offset') ?? '0';
    const length = entries.get('length') ?? String(sizeBytes);
    if (!isInside(location)) {
      this.problem(
        at,
        `tensor '${name}' lies in '${location}', which is no path below the model's folder.`,
      );
      return undefined;
    }
    this.wantedFiles.add(location);
    const file = this.#files.get(location);
    if (typeof file === 'string')
      this.problem(at, `tensor '${name}' lies in '${location}': ${file}`);
    if (typeof file !== 'object') return undefined;
    const place = { file, offsetBytes: Number(offset), lengthBytes: Number(length) };
    if (!/^\d{1,15}$/.test(offset) || !/^\d{1,15}$/.test(length)) {
      this.problem(
        at,
        `tensor '${name}' has offset '${offset}' and length '${length}', which are no counts.`,
      );
    } else if (place.lengthBytes !== sizeBytes) {
      this.problem(
        at,
        `tensor '${name}' needs ${sizeBytes} bytes and has ${length} in '${location}'.`,
      );
    } else if (place.offsetBytes + place.lengthBytes > file.sizeBytes) {
      this.problem(
        at,
        `tensor '${name}' ends at byte ${place.offsetBytes + place.lengthBytes} of '${location}', which has ${file.sizeBytes}.`,
      );
    } else {
      return place;
    }
    return undefined;
  }
}

/** Whether a location stays below the model's folder, as it is written. */
function isInside(location: string): boolean {
  if (location === '' || location.length > 1000 || /[\0\\:]/.test(location)) return false;
  return location
    .split('/')
    .every((part, index, parts) =>
      part === '' || part === '..' ? false : part !== '.' || index < parts.length - 1,
    );
}
