import type { AiosError } from '../../sdk/errors.ts';
import { DataPlaneError, shorten } from '../../sdk/errors.ts';
import type { Json, Packet, PacketFile } from '../../sdk/packet.ts';
import { checkTensor, type Tensor, type TensorDtype } from '../../sdk/tensor.ts';
import { formatBytes } from '../../sdk/units.ts';
import {
  type FileMessage,
  type InferRequestMessage,
  maxMessageBytes,
  type NamedTensorMessage,
} from './service.ts';

/** The parts a request and a response share. */
interface Content {
  readonly dataJson: string;
  readonly tensors: readonly NamedTensorMessage[];
  readonly files: readonly FileMessage[];
}

const maxParts = 256;
/** The rest of a message is for names, shapes and parameters. */
const maxContentBytes = maxMessageBytes - 2 ** 16;

/** @throws {AiosError} FRAME_TOO_LARGE - no message holds it */
export function toContent(packet: Packet): Content {
  const content: Content = {
    dataJson: JSON.stringify(packet.data ?? null),
    tensors: Object.entries(packet.tensors ?? {}).map(([name, { dtype, shape, data }]) => ({
      name,
      dtype,
      shape,
      data,
    })),
    files: (packet.files ?? []).map(({ metadata, data }) => ({
      metadataJson: JSON.stringify(metadata),
      data,
    })),
  };
  const bytes = contentBytes(content);
  if (bytes <= maxContentBytes) return content;
  throw new DataPlaneError(
    'FRAME_TOO_LARGE',
    `a packet of session '${packet.sessionId}' takes ${formatBytes(bytes)}, and at most ${formatBytes(maxContentBytes)} go at once. Send less, such as a smaller batch; a graph may be cut where less crosses.`,
    { details: { bytes, maxBytes: maxContentBytes } },
  );
}

/** @returns what it takes on the wire, without names and the like */
export const contentBytes = ({ dataJson, tensors, files }: Content): number =>
  [...tensors, ...files].reduce((sum, { data }) => sum + data.byteLength, 0) +
  Buffer.byteLength(dataJson);

/** @throws {AiosError} REQUEST_INVALID - bad JSON or too many parts; TENSOR_MISMATCH */
export function fromContent(
  content: Content,
  key: Omit<Packet, 'data' | 'tensors' | 'files'>,
): Packet {
  if (content.tensors.length > maxParts || content.files.length > maxParts) {
    throw invalid(key.sessionId, `at most ${maxParts} tensors and ${maxParts} files`, 'more');
  }
  const tensors = content.tensors.map(({ name, dtype, shape, data }): [string, Tensor] => {
    const tensor = { dtype: dtype as TensorDtype, shape, data };
    checkTensor(tensor);
    return [name, tensor];
  });
  const files = content.files.map(
    ({ metadataJson, data }): PacketFile => ({
      metadata: parseObject(
        key.sessionId,
        'a file’s metadata',
        metadataJson,
      ) as PacketFile['metadata'],
      data,
    }),
  );
  return {
    ...key,
    data: parseJson(key.sessionId, 'data', content.dataJson || 'null'),
    ...(tensors.length > 0 ? { tensors: Object.fromEntries(tensors) } : {}),
    ...(files.length > 0 ? { files } : {}),
  };
}

/** @returns the packet, and the JSON object that is laid over the block's parameters */
export function fromRequest(message: InferRequestMessage): {
  readonly packet: Packet;
  readonly parameters: Readonly<Record<string, unknown>>;
} {
  const { sessionId, sequence, createdAtMs, parametersJson } = message;
  return {
    packet: fromContent(message, { sessionId, sequence, createdAtMs }),
    parameters: parseObject(sessionId, 'parameters', parametersJson || '{}'),
  };
}

function parseJson(session: string, what: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw invalid(session, `${what} as JSON`, shorten(text));
  }
}

function parseObject(session: string, what: string, text: string): Record<string, Json> {
  const value = parseJson(session, what, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(session, `${what} as a JSON object`, shorten(value));
  }
  return value as Record<string, Json>;
}

const invalid = (session: string, expected: string, seen: string): AiosError =>
  new DataPlaneError(
    'REQUEST_INVALID',
    `packet of session '${session}': expected ${expected}, got ${seen}.`,
  );
