import type { ExternalData } from '../onnx/model.ts';
import { bytes, integer, message, packed, string } from '../onnx/wire.ts';
import { type ByteRange, ByteSource } from './byte-source.ts';
import type {
  OnnxAttributeRef,
  OnnxGraphRef,
  OnnxNodeRef,
  OnnxTensorRef,
  TensorPlace,
} from './onnx-file.ts';
import { protoFields } from './proto-reader.ts';

/** Where a weight lies, seen from the shard's folder. */
export type PlaceOf = (place: TensorPlace) => ExternalData;

/** An initializer: over its place where it has one, else as it lies. */
export function encodeTensor(
  source: ByteSource,
  { message: range, place, dims, dataType }: OnnxTensorRef,
  placeOf: PlaceOf,
  name: string,
): Uint8Array {
  if (!place) {
    const kept = [...protoFields(source, range)].filter(({ field }) => field !== 8);
    return message(...kept.map(({ whole }) => source.bytes(whole)), string(8, name));
  }
  const { location, offsetBytes, lengthBytes } = placeOf(place);
  const entries = { location, offset: String(offsetBytes), length: String(lengthBytes) };
  return message(
    packed(1, dims),
    integer(2, dataType),
    string(8, name),
    ...Object.entries(entries).map(([key, value]) =>
      bytes(13, message(string(1, key), string(2, value))),
    ),
    integer(14, 1),
  );
}

/**
 * The node as it lies. Weights outside the file that a graph inside the node reads are taken in: ONNX Runtime opens no
 * linked file for those.
 */
export function encodeNode(source: ByteSource, node: OnnxNodeRef): Uint8Array {
  const isChanged = (attribute: OnnxAttributeRef) => readsOutside(source, attribute);
  if (!node.attributes.some(isChanged)) return source.bytes(node.message);
  return replaceMessages(source, node.message, node.attributes.filter(isChanged), (attribute) =>
    replaceMessages(
      source,
      attribute.message,
      [...attribute.tensors, ...attribute.graphs],
      (part) => encodePart(source, part),
    ),
  );
}

function encodePart(source: ByteSource, part: OnnxTensorRef | OnnxGraphRef): Uint8Array {
  if (!('nodes' in part)) return encodeInside(source, part);
  return replaceMessages(source, part.message, [...part.nodes, ...part.initializers], (inner) =>
    'operator' in inner ? encodeNode(source, inner) : encodeInside(source, inner),
  );
}

function encodeInside(source: ByteSource, tensor: OnnxTensorRef): Uint8Array {
  const { place, dims, dataType, name } = tensor;
  if (!place || !liesOutside(source, tensor)) return source.bytes(tensor.message);
  const outside = new ByteSource(place.file);
  try {
    const data = outside.bytes(place);
    return message(packed(1, dims), integer(2, dataType), string(8, name), bytes(9, data));
  } finally {
    outside.close();
  }
}

const readsOutside = (source: ByteSource, { tensors, graphs }: OnnxAttributeRef): boolean =>
  tensors.some((tensor) => liesOutside(source, tensor)) ||
  graphs.some(
    ({ initializers, nodes }) =>
      initializers.some((tensor) => liesOutside(source, tensor)) ||
      nodes.some(({ attributes }) => attributes.some((one) => readsOutside(source, one))),
  );

function liesOutside(source: ByteSource, { place, message: range }: OnnxTensorRef): boolean {
  if (!place) return false;
  const from = place.offsetBytes - range.offsetBytes;
  return place.file !== source.file || from < 0 || from >= range.lengthBytes;
}

/** The message again, with some of its embedded messages encoded anew; all else as it lies. */
function replaceMessages<T extends { readonly message: ByteRange }>(
  source: ByteSource,
  range: ByteRange,
  parts: readonly T[],
  encode: (part: T) => Uint8Array,
): Uint8Array {
  const known = new Map(parts.map((part) => [part.message.offsetBytes, part]));
  const encoded: Uint8Array[] = [];
  for (const { field, wireType, content, whole } of protoFields(source, range)) {
    const part = wireType === 2 ? known.get(content.offsetBytes) : undefined;
    encoded.push(part ? bytes(field, encode(part)) : source.bytes(whole));
  }
  return message(...encoded);
}
