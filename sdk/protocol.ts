import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { AiosError, type Problem, SpecError, shorten } from './errors.ts';
import { nearest } from './nearest.ts';
import type { BlockSpec } from './spec/block.ts';
import type { ComponentSpec } from './spec/component.ts';
import { formatPath } from './spec/located.ts';

export { protocolFromFieldSchema } from './spec/field-schema.ts';

/** A JSON Schema (draft 2020-12) that a user put inside a document. */
export type Protocol = Readonly<Record<string, unknown>>;
/** Checks one value; an empty list means it fits. `path` names the value in the problems, `$` if left out. */
export type ProtocolCheck = (value: unknown, path?: string) => readonly Problem[];

/** Longest schema, as JSON text. */
const maxSchemaLength = 64 * 1024;
const maxCompiled = 256;
/** By JSON text, the most recently used last. */
const compiled = new Map<string, ProtocolCheck>();

function compile(schema: Protocol): ValidateFunction {
  // Each schema gets its own instance: ajv never forgets what it compiled, and one user's $id must not meet another's.
  const ajv = new Ajv2020({
    allErrors: true,
    strict: false,
    validateFormats: false,
    validateSchema: false,
    meta: false,
    verbose: true,
    logger: false,
    addUsedSchema: false,
    // The optimiser costs more than it saves, and its time grows faster than the schema.
    code: { optimize: false },
  });
  return ajv.compile(schema);
}

/** Checks schemas themselves; stateless, so one instance serves all. */
let metaSchema: Ajv2020 | undefined;

function malformed(reason: string, cause?: unknown): SpecError {
  return new SpecError(
    'SPEC_INVALID',
    `the protocol is no JSON Schema (draft 2020-12): ${reason}.`,
    {
      cause,
    },
  );
}

function problemOf(error: ErrorObject, value: unknown, base: string): Problem {
  const segments = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params.additionalProperty);
    const known = Object.keys(error.parentSchema?.properties ?? {});
    const close = nearest(key, known);
    return {
      path: formatPath(base, [...segments, key]),
      message: `'${key}' is not in the schema`,
      expected: known.length > 0 ? `one of: ${known.join(', ')}` : 'no keys',
      seen: shorten((error.data as Record<string, unknown> | undefined)?.[key]),
      ...(close === undefined ? {} : { nearest: close }),
    };
  }
  return {
    path: formatPath(base, segments),
    message: error.message ?? 'does not fit the schema',
    seen: shorten(segments.length === 0 ? value : error.data),
  };
}

/**
 * Compiles a protocol; equal schemas are compiled once, and the 256 used last are kept.
 *
 * @throws {SpecError} SPEC_INVALID - it is no valid JSON Schema, refers outside itself, or is over 64 KiB
 */
export function compileProtocol(schema: Protocol): ProtocolCheck {
  const text = JSON.stringify(schema);
  const known = compiled.get(text);
  if (known) {
    compiled.delete(text);
    compiled.set(text, known);
    return known;
  }
  if (text.length > maxSchemaLength) throw malformed(`it is longer than ${maxSchemaLength} bytes`);
  metaSchema ??= new Ajv2020({ strict: false, validateFormats: false, logger: false });
  if (!metaSchema.validateSchema(schema)) {
    const [error] = metaSchema.errors ?? [];
    throw malformed(
      `${error?.instancePath.slice(1) || 'the schema'} ${error?.message ?? 'is wrong'}`,
    );
  }
  let validate: ValidateFunction;
  try {
    validate = compile(schema);
  } catch (error) {
    throw malformed(AiosError.from(error).message, error);
  }
  // An asynchronous schema answers with a promise, which would read as «fits».
  if ('$async' in validate) throw malformed('$async is not supported');
  const check: ProtocolCheck = (value, path = '$') =>
    validate(value) ? [] : (validate.errors ?? []).map((error) => problemOf(error, value, path));
  compiled.set(text, check);
  const [oldest] = compiled.keys();
  if (compiled.size > maxCompiled && oldest !== undefined) compiled.delete(oldest);
  return check;
}

/** A misspelt setting should be seen, also where the schema does not forbid unknown keys. */
function closed(schema: Protocol): Protocol {
  return schema.properties === undefined || schema.additionalProperties !== undefined
    ? schema
    : { ...schema, additionalProperties: false };
}

type Locate = (plain: readonly PropertyKey[]) => string;
type Protocols = Pick<ComponentSpec, 'settingsProtocol' | 'parametersProtocol'>;
interface Values {
  readonly settings?: unknown;
  readonly parameters?: unknown;
}

function checkValues(
  protocols: Protocols,
  values: Values,
  locate: Locate = (plain) => formatPath('$', plain),
): readonly Problem[] {
  return (['settings', 'parameters'] as const).flatMap((key) => {
    const schema = protocols[`${key}Protocol`];
    if (schema === undefined || values[key] === undefined) return [];
    return compileProtocol(closed(schema))(values[key], locate([key]));
  });
}

/**
 * A component's own defaults that are outside its schemas. They may be incomplete, a block's document completes them.
 */
export function checkComponentDefaults(
  component: Protocols & Values,
  locate?: Locate,
): readonly Problem[] {
  const { settingsProtocol, parametersProtocol } = component;
  return checkValues(
    {
      ...(settingsProtocol ? { settingsProtocol: { ...settingsProtocol, required: [] } } : {}),
      ...(parametersProtocol
        ? { parametersProtocol: { ...parametersProtocol, required: [] } }
        : {}),
    },
    component,
    locate,
  );
}

/**
 * Values of a block that are outside its component's own schemas. AIOS's published examples have such values, so they
 * are warnings.
 *
 * @param locate - from `readDocument`, so that paths are those of the user's document
 */
export function checkBlockAgainstComponent(
  block: Pick<BlockSpec, 'settings' | 'parameters'>,
  component: Pick<ComponentSpec, 'uri' | 'settingsProtocol' | 'parametersProtocol'>,
  locate?: Locate,
): readonly Problem[] {
  return checkValues(component, block, locate).map((problem) => ({
    ...problem,
    message: `${problem.message} (of component ${component.uri})`,
  }));
}
