import type { Packet } from '../../sdk/packet.ts';
import { tensorToJson } from '../../sdk/tensor-json.ts';

/** A node's output that holds tensors. They go to the next node as they are; JSON is made of them for the caller alone. */
export class WithTensors {
  readonly data: unknown;
  readonly tensors: NonNullable<Packet['tensors']>;

  constructor(data: unknown, tensors: NonNullable<Packet['tensors']>) {
    this.data = data;
    this.tensors = tensors;
  }
}

/** What a packet brings, as one value. */
export const packetValue = ({ data, tensors }: Packet): unknown =>
  tensors && Object.keys(tensors).length > 0 ? new WithTensors(data, tensors) : data;

/** The part of a packet that carries a value. */
export const packetContent = (value: unknown): Pick<Packet, 'data' | 'tensors'> =>
  value instanceof WithTensors ? { data: value.data, tensors: value.tensors } : { data: value };

/** A value for a caller that takes JSON, also where it lies beside others by label. */
export function jsonOf(value: unknown): unknown {
  if (value instanceof WithTensors) {
    const tensors = Object.entries(value.tensors).map(([name, one]) => [name, tensorToJson(one)]);
    const rest = typeof value.data === 'object' && value.data !== null ? value.data : {};
    return { ...rest, tensors: Object.fromEntries(tensors) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const parts = Object.entries(value);
  if (!parts.some(([, part]) => part instanceof WithTensors)) return value;
  return Object.fromEntries(parts.map(([name, part]) => [name, jsonOf(part)]));
}
