import { z } from 'zod';
import { AiosError, formatProblems } from './errors.ts';
import { checkTensor, type Tensor, type TensorDtype, tensorDtypes } from './tensor.ts';

const dtypes = Object.keys(tensorDtypes) as [TensorDtype, ...TensorDtype[]];

/** A tensor where only JSON goes: its bytes as base64, or its numbers. */
export const tensorJson = z.strictObject({
  dtype: z.enum(dtypes),
  shape: z.array(z.number().int().nonnegative()).max(64),
  data: z.union([z.string().describe('base64'), z.array(z.union([z.number(), z.boolean()]))]),
});
export type TensorJson = z.output<typeof tensorJson>;

const tensorsJson = z.looseObject({ tensors: z.record(z.string(), tensorJson) });

export function tensorToJson({ dtype, shape, data }: Tensor): TensorJson {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { dtype, shape: [...shape], data: bytes.toString('base64') };
}

/**
 * Tensors of a packet's data, `{ "tensors": { name: { dtype, shape, data } } }`.
 *
 * @throws {AiosError} REQUEST_INVALID - another form; TENSOR_MISMATCH - bytes that do not fit the shape
 */
export function tensorsFromJson(data: unknown): Readonly<Record<string, Tensor>> {
  const parsed = tensorsJson.safeParse(data);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => ({
      path: ['$', ...path.map(String)].join('.'),
      message,
    }));
    throw new AiosError(
      'REQUEST_INVALID',
      `expected {"tensors": {"name": {"dtype": "float32", "shape": [1], "data": [0]}}}.\n${formatProblems(problems)}`,
      { problems },
    );
  }
  return Object.fromEntries(
    Object.entries(parsed.data.tensors).map(([name, json]) => [name, tensorFromJson(json)]),
  );
}

function tensorFromJson({ dtype, shape, data }: TensorJson): Tensor {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : encode(dtype, data);
  const tensor = { dtype, shape, data: bytes };
  checkTensor(tensor);
  return tensor;
}

function encode(dtype: TensorDtype, values: readonly (number | boolean)[]): Uint8Array {
  const bytes = new Uint8Array(values.length * tensorDtypes[dtype]);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) {
    const number = Number(value);
    if (dtype === 'float32') view.setFloat32(index * 4, number, true);
    else if (dtype === 'int32') view.setInt32(index * 4, number, true);
    else if (dtype === 'int64') view.setBigInt64(index * 8, BigInt(Math.trunc(number)), true);
    else if (dtype === 'int8') view.setInt8(index, number);
    else if (dtype === 'uint8' || dtype === 'bool') view.setUint8(index, number);
    else {
      throw new AiosError(
        'REQUEST_INVALID',
        `numbers of ${dtype} are given as base64 of their bytes.`,
      );
    }
  }
  return bytes;
}
