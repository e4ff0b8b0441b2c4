import type { ByteRange } from './byte-source.ts';
import type { GraphReading } from './graph-reading.ts';
import { inlineBytes, type OnnxTensorRef, stringType, tensorBytes } from './onnx-file.ts';
import { protoFields, readIntegers } from './proto-reader.ts';

/** Fields of `TensorProto` that hold elements, and the one type whose packed form is plain little-endian bytes. */
const rawField = 9;
const floatField = 4;
const doubleField = 10;
const elementFields = new Set([floatField, 5, 6, 7, rawField, doubleField, 11]);
const plainFields: Readonly<Record<number, number>> = { [floatField]: 1, [doubleField]: 11 };

/**
 * Reads a tensor's head and remembers where its elements lie.
 *
 * @param isInside - of a graph inside a node: it is written into the shard, wherever it lies now
 */
export function readTensor(
  reading: GraphReading,
  message: ByteRange,
  isInside = false,
): OnnxTensorRef {
  const { source } = reading;
  reading.count('tensors', message);
  let name = '';
  let dataType = 0;
  let isExternal = false;
  let elementBytes = 0;
  const dims: number[] = [];
  const contents: { readonly field: number; readonly content: ByteRange }[] = [];
  const entries = new Map<string, string>();
  for (const part of protoFields(source, message)) {
    if (part.field === 1) dims.push(...readIntegers(source, part));
    else if (part.field === 2) dataType = part.value;
    else if (part.field === 8) name = reading.text(part.content);
    else if (part.field === 13) readEntry(reading, part.content, entries);
    else if (part.field === 14) isExternal = part.value === 1;
    else if (elementFields.has(part.field)) {
      if (part.wireType === 2) contents.push({ field: part.field, content: part.content });
      elementBytes += part.content.lengthBytes;
    }
    if (dims.length > reading.limits.rank) {
      reading.problem(message.offsetBytes, `tensor '${name}' has more than 64 dimensions.`);
      break;
    }
  }
  reading.keep(message.lengthBytes - elementBytes, message);
  const ref = { name, dataType, dims, message };
  if (dims.some((size) => size < 0 || !Number.isSafeInteger(size))) {
    reading.problem(
      message.offsetBytes,
      `tensor '${name}' has a size that is no count: [${dims}].`,
    );
    return { ...ref, sizeBytes: 0 };
  }
  if (dataType === stringType) {
    reading.keep(elementBytes, message);
    return { ...ref, sizeBytes: elementBytes };
  }
  const sizeBytes = tensorBytes(dataType, dims);
  if (sizeBytes === undefined || !Number.isSafeInteger(sizeBytes)) {
    const what = sizeBytes === undefined ? `the unknown type ${dataType}` : `no countable size`;
    reading.problem(message.offsetBytes, `tensor '${name}' has ${what}.`);
    return { ...ref, sizeBytes: 0 };
  }
  if (isExternal) {
    const place = reading.external(name, entries, sizeBytes, message);
    if (isInside) reading.keep(sizeBytes, message);
    return { ...ref, sizeBytes, ...(place ? { place } : {}) };
  }
  const [only] = contents;
  const isRaw = contents.some(({ field }) => field === rawField);
  const isPlain =
    contents.length === 1 && only !== undefined && (isRaw || plainFields[only.field] === dataType);
  if ((isRaw || isPlain) && only?.content.lengthBytes !== sizeBytes) {
    reading.problem(
      message.offsetBytes,
      `tensor '${name}' of type ${dataType} and shape [${dims}] needs ${sizeBytes} bytes and has ${elementBytes}.`,
    );
  } else if (isPlain && sizeBytes >= inlineBytes && !isInside) {
    return { ...ref, sizeBytes, place: { ...only.content, file: source.file } };
  } else if (elementBytes === 0 && sizeBytes > 0) {
    reading.problem(message.offsetBytes, `tensor '${name}' of shape [${dims}] has no data.`);
  }
  reading.keep(elementBytes, message);
  return { ...ref, sizeBytes };
}

function readEntry(reading: GraphReading, content: ByteRange, entries: Map<string, string>): void {
  let key = '';
  let value = '';
  for (const part of protoFields(reading.source, content)) {
    if (part.field === 1) key = reading.text(part.content);
    if (part.field === 2) value = reading.text(part.content);
  }
  entries.set(key, value);
}
