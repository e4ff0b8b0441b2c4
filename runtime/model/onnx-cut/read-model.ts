import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Problem } from '../../../sdk/errors.ts';
import type { CheckpointFile } from '../checkpoint.ts';
import { type ByteRange, ByteSource } from './byte-source.ts';
import { GraphReading } from './graph-reading.ts';
import type { OnnxFile, OnnxGraphRef } from './onnx-file.ts';
import { ProtoFault, protoFields } from './proto-reader.ts';
import { readGraph } from './read-graph.ts';

const reservedNames = ['stage.onnx', 'weights.bin'];

/**
 * Reads a model's graph; of its weights only where they lie. Every problem is added to `problems`.
 *
 * @returns undefined when it cannot be used at all
 */
export async function readOnnxFile(
  path: string,
  problems: Problem[],
): Promise<OnnxFile | undefined> {
  const names = new Set(reservedNames);
  const file = await describeFile(path, names);
  if (typeof file === 'string') {
    problems.push({ path: basename(path), message: file });
    return undefined;
  }
  const source = new ByteSource(file);
  const files = new Map<string, CheckpointFile | string>();
  try {
    // External files are known once the graph was read, and judged when it is read again: that costs milliseconds.
    for (const location of readAll(source, files).wantedFiles) {
      files.set(location, await describeFile(join(dirname(path), location), names));
    }
    const { found, problems: faults } = readAll(source, files);
    problems.push(...faults);
    return found;
  } finally {
    source.close();
  }
}

function readAll(source: ByteSource, files: ReadonlyMap<string, CheckpointFile | string>) {
  const reading = new GraphReading(source, files);
  let found: OnnxFile | undefined;
  try {
    found = readModel(reading);
  } catch (error) {
    if (!(error instanceof ProtoFault)) throw error;
    reading.problem(error.offsetBytes, error.message);
  }
  return { found, problems: reading.problems, wantedFiles: reading.wantedFiles };
}

function readModel(reading: GraphReading): OnnxFile | undefined {
  const { source } = reading;
  let graph: OnnxGraphRef | undefined;
  let functionCount = 0;
  let sets = 0;
  const header: ByteRange[] = [];
  const all = { offsetBytes: 0, lengthBytes: source.file.sizeBytes };
  reading.attempt(() => {
    for (const { field, wireType, content, whole } of protoFields(source, all)) {
      if (field === 7 && wireType === 2) {
        if (graph)
          reading.problem(whole.offsetBytes, 'the model has two graphs; it must have one.');
        graph = readGraph(reading, content);
        continue;
      }
      // What it was trained with is of no use to a shard.
      if (field === 20) continue;
      if (field === 25) functionCount += 1;
      if (field === 8) sets += 1;
      reading.keep(whole.lengthBytes, whole);
      header.push(whole);
    }
  });
  if (graph && sets === 0) reading.problem(0, 'the model names no operator set.');
  if (!graph && reading.problems.length === 0) {
    reading.problem(0, 'holds no graph; it is no ONNX model.');
  }
  return graph && { source, graph, header, functionCount };
}

/** @returns the file under a plain name of its own; or why it cannot be used */
async function describeFile(path: string, names: Set<string>): Promise<CheckpointFile | string> {
  try {
    const real = await realpath(path);
    const found = await stat(real, { bigint: true });
    if (!found.isFile()) return 'it is no file.';
    const plain = basename(path)
      .replace(/[^A-Za-z0-9._-]+/g, '_')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(-120);
    let name = plain || 'model.onnx';
    for (let index = 1; names.has(name); index += 1) name = `${index}-${plain}`;
    names.add(name);
    return { name, path: real, sizeBytes: Number(found.size), modifiedNs: `${found.mtimeNs}` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? 'there is no such file.'
      : `it cannot be read (${code}).`;
  }
}
