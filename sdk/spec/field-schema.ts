import { SpecError } from '../errors.ts';
import { at, entries, isObject, type Located } from './located.ts';
import { Fields, Reading } from './reading.ts';

const fieldTypes = ['string', 'number', 'boolean', 'array', 'object', 'any'];

/** AIOS attribute → JSON Schema keyword, where value and meaning stay the same. */
const keywords = {
  description: 'description',
  pattern: 'pattern',
  length: 'maxLength',
  min: 'minimum',
  max: 'maximum',
  choices: 'enum',
  max_length: 'maxItems',
  default: 'default',
} as const;

type JsonSchema = Record<string, unknown>;

/** One field's descriptor, and whether it says `required: true` of itself. */
function readField(reading: Reading, field: Located): { schema: JsonSchema; required: boolean } {
  const fields = new Fields(reading, field);
  const schema: JsonSchema = {};
  const type = fields.take('type');
  if (typeof type.value === 'string' && fieldTypes.includes(type.value)) {
    if (type.value !== 'any') schema.type = type.value;
  } else if (type.value !== undefined) {
    reading.problem(type, { message: 'is no field type' }, fieldTypes);
  }
  for (const [attribute, keyword] of Object.entries(keywords)) {
    const { value } = fields.take(attribute);
    if (value !== undefined) schema[keyword] = value;
  }
  const items = fields.take('items');
  if (items.value !== undefined) schema.items = readField(reading, items).schema;
  const properties = fields.take('properties');
  if (properties.value !== undefined) Object.assign(schema, readFields(reading, properties));
  // A list names the required properties; a boolean speaks of the field itself.
  const required = fields.take('required');
  if (Array.isArray(required.value)) {
    schema.required = [...new Set([...listOf(schema.required), ...required.value])];
  } else if (required.value !== undefined && typeof required.value !== 'boolean') {
    reading.problem(required, {
      message: 'has the wrong type',
      expected: 'true, false, or a list of property names',
    });
  }
  fields.done();
  return { schema, required: required.value === true };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function readFields(reading: Reading, map: Located): JsonSchema {
  const properties: JsonSchema = {};
  const required: string[] = [];
  for (const [name, field] of entries(map)) {
    const read = readField(reading, field);
    properties[name] = read.schema;
    if (read.required) required.push(String(name));
  }
  return { properties, ...(required.length > 0 ? { required } : {}) };
}

/** Reads a map of AIOS field descriptors into a JSON Schema of an object; absent when the map is. */
export function readFieldSchema(reading: Reading, map: Located): JsonSchema | undefined {
  if (map.value === undefined) return undefined;
  if (!isObject(map.value)) {
    reading.problem(map, { message: 'has the wrong type', expected: 'an object' });
    return undefined;
  }
  if (typeof map.value.type === 'string') {
    reading.problem(at(map, 'type'), {
      message:
        'looks like a JSON Schema, but this key takes a map of AIOS field descriptors; JSON Schemas go into inputProtocol, outputProtocol, settingsProtocol or parametersProtocol',
      expected: '{"field": {"type": "string"}}',
    });
    return undefined;
  }
  if (Object.keys(map.value).length === 0) return undefined;
  return { type: 'object', ...readFields(reading, map) };
}

/**
 * Converts AIOS's field-schema language (`{"roi": {"type": "object", "properties": {…}}}`) to JSON Schema 2020-12.
 * Fields are optional unless a `required` says otherwise, and unknown ones are allowed, as nothing in AIOS refuses them.
 *
 * @throws {SpecError} SPEC_INVALID with every problem
 */
export function protocolFromFieldSchema(
  map: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const reading = new Reading();
  const schema = readFieldSchema(reading, { value: map, path: '$' });
  if (reading.problems.length > 0) {
    throw new SpecError('SPEC_INVALID', 'the field schema has problems.', {
      problems: reading.problems,
    });
  }
  return schema ?? { type: 'object' };
}
