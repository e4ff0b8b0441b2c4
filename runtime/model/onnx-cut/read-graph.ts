import type { ByteRange } from './byte-source.ts';
import { type GraphReading, GraphTooLarge } from './graph-reading.ts';
import type {
  OnnxAttributeRef,
  OnnxGraphRef,
  OnnxNodeRef,
  OnnxTensorRef,
  OnnxValueRef,
} from './onnx-file.ts';
import { protoFields } from './proto-reader.ts';
import { readTensor } from './read-tensor.ts';

type Named = { readonly name: string; readonly message: ByteRange };

/** Reads a `GraphProto`. A damaged part is noted and left out. */
export function readGraph(reading: GraphReading, message: ByteRange, depth = 0): OnnxGraphRef {
  if (depth > reading.limits.depth) {
    throw new GraphTooLarge(
      message.offsetBytes,
      `graphs lie inside each other more than ${reading.limits.depth} deep.`,
    );
  }
  let name = '';
  const nodes: OnnxNodeRef[] = [];
  const initializers: OnnxTensorRef[] = [];
  const sparseInitializers: Named[] = [];
  const inputs: OnnxValueRef[] = [];
  const outputs: OnnxValueRef[] = [];
  const values: OnnxValueRef[] = [];
  const annotations: Named[] = [];
  const add = <T>(list: T[], read: () => T) => {
    const value = reading.attempt(read);
    if (value !== undefined) list.push(value);
  };
  reading.attempt(() => {
    for (const { field, content } of protoFields(reading.source, message)) {
      if (field === 1) add(nodes, () => readNode(reading, content, depth));
      else if (field === 2) name = reading.text(content);
      else if (field === 5) add(initializers, () => readTensor(reading, content, depth > 0));
      else if (field === 11) add(inputs, () => readValue(reading, content));
      else if (field === 12) add(outputs, () => readValue(reading, content));
      else if (field === 13) add(values, () => readValue(reading, content));
      else if (field === 14) add(annotations, () => readAnnotation(reading, content));
      else if (field === 15) add(sparseInitializers, () => readSparse(reading, content));
    }
  });
  return {
    name,
    nodes,
    initializers,
    sparseInitializers,
    inputs,
    outputs,
    values,
    annotations,
    message,
  };
}

function readNode(reading: GraphReading, message: ByteRange, depth: number): OnnxNodeRef {
  reading.count('nodes', message);
  let [name, operator, domain] = ['', '', ''];
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: OnnxAttributeRef[] = [];
  let keptBytes = message.lengthBytes;
  for (const { field, content } of protoFields(reading.source, message)) {
    if (field === 1 || field === 2) {
      reading.count('values', message);
      (field === 1 ? inputs : outputs).push(reading.text(content));
    } else if (field === 3) name = reading.text(content);
    else if (field === 4) operator = reading.text(content);
    else if (field === 5) {
      attributes.push(readAttribute(reading, content, depth));
      keptBytes -= content.lengthBytes;
    } else if (field === 7) domain = reading.text(content);
  }
  reading.keep(keptBytes, message);
  if (operator === '') reading.problem(message.offsetBytes, `node '${name}' names no operator.`);
  // `ai.onnx` is the long name of the standard set.
  return {
    name,
    operator,
    domain: domain === 'ai.onnx' ? '' : domain,
    inputs,
    outputs,
    attributes,
    message,
  };
}

function readAttribute(reading: GraphReading, message: ByteRange, depth: number): OnnxAttributeRef {
  let name = '';
  let keptBytes = message.lengthBytes;
  const tensors: OnnxTensorRef[] = [];
  const graphs: OnnxGraphRef[] = [];
  for (const { field, content } of protoFields(reading.source, message)) {
    if (field === 1) name = reading.text(content);
    else if (field === 5 || field === 10) tensors.push(readTensor(reading, content, depth > 0));
    else if (field === 6 || field === 11) graphs.push(readGraph(reading, content, depth + 1));
    else continue;
    // These count what they keep themselves.
    if (field !== 1) keptBytes -= content.lengthBytes;
  }
  reading.keep(keptBytes, message);
  return { name, message, tensors, graphs };
}

function readValue(reading: GraphReading, message: ByteRange): OnnxValueRef {
  reading.count('values', message);
  reading.keep(message.lengthBytes, message);
  let name = '';
  let type: Pick<OnnxValueRef, 'dataType' | 'shape'> = {};
  for (const { field, content } of protoFields(reading.source, message)) {
    if (field === 1) name = reading.text(content);
    else if (field === 2) type = readType(reading, content);
  }
  return { name, ...type, message };
}

function readType(reading: GraphReading, message: ByteRange) {
  let dataType: number | undefined;
  let shape: (number | string | null)[] | undefined;
  for (const type of protoFields(reading.source, message)) {
    if (type.field !== 1) continue;
    for (const { field, value, content } of protoFields(reading.source, type.content)) {
      if (field === 1) dataType = value;
      else if (field === 2) shape = readShape(reading, content);
    }
  }
  return { ...(dataType ? { dataType } : {}), ...(shape ? { shape } : {}) };
}

function readShape(reading: GraphReading, message: ByteRange): (number | string | null)[] {
  const shape: (number | string | null)[] = [];
  for (const { content } of protoFields(reading.source, message)) {
    let size: number | string | null = null;
    for (const part of protoFields(reading.source, content)) {
      // A negative size is how some exporters say «unknown».
      if (part.field === 1) size = part.value < 0 ? null : part.value;
      else if (part.field === 2) size = reading.text(part.content) || null;
    }
    if (shape.push(size) > reading.limits.rank) {
      throw new GraphTooLarge(message.offsetBytes, 'a value has more than 64 dimensions.');
    }
  }
  return shape;
}

function readAnnotation(reading: GraphReading, message: ByteRange): Named {
  reading.keep(message.lengthBytes, message);
  let name = '';
  for (const { field, content } of protoFields(reading.source, message)) {
    if (field === 1) name = reading.text(content);
  }
  return { name, message };
}

/** A sparse tensor is named by its values. It stays inside the graph. */
function readSparse(reading: GraphReading, message: ByteRange): Named {
  reading.keep(message.lengthBytes, message);
  let name = '';
  for (const { field, content } of protoFields(reading.source, message)) {
    if (field !== 1) continue;
    for (const part of protoFields(reading.source, content)) {
      if (part.field === 8) name = reading.text(part.content);
      if (part.field === 14 && part.value === 1) {
        reading.problem(
          message.offsetBytes,
          `the sparse tensor '${name}' has external data, which is not supported.`,
        );
      }
    }
  }
  return { name, message };
}
