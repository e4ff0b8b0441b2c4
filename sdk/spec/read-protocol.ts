import { AiosError } from '../errors.ts';
import { compileProtocol } from '../protocol.ts';
import { readFieldSchema } from './field-schema.ts';
import { isObject } from './located.ts';
import type { Source } from './source.ts';

/**
 * Reads a schema inside a document: a JSON Schema under its plain name, AIOS field descriptors under their own. One that
 * cannot be compiled would fail every packet later, so it is a problem here.
 */
export function readProtocol(source: Source, plainName: string, aiosName: string): void {
  const { draft, fields, reading } = source;
  const located = source.pick(plainName, aiosName);
  const isAios = fields.take(aiosName).value !== undefined;
  const schema = isAios ? readFieldSchema(reading, located) : located.value;
  draft.put(plainName, located, schema);
  if (!isObject(schema) || reading.explains([plainName])) return;
  try {
    compileProtocol(schema);
  } catch (error) {
    reading.problem(located, { message: AiosError.from(error).message });
  }
}
