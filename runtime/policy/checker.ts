import { Ajv2020 } from 'ajv/dist/2020.js';
import type { z } from 'zod';
import { type Problem, shorten } from '../../sdk/errors.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { ProtocolCheck } from '../../sdk/protocol.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { Reading } from '../../sdk/spec/reading.ts';

type JsonObject = Readonly<Record<string, unknown>>;
type Checked =
  | { readonly value: JsonObject; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly value?: undefined };

/** Checks parameters or settings; `path` says where in the document they stand. */
export type Checker = (value: JsonObject, path: string) => Checked;

/** Of a policy in this process: fills in the schema's defaults. */
export function createZodChecker(schema: z.ZodType): Checker {
  return (value, path) => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return { value: parsed.data as JsonObject };
    const reading = new Reading();
    reading.place([], path);
    return { problems: problemsOf(parsed.error.issues, schema, value, reading) };
  };
}

/** Of what a function in this process takes or gives. */
export const createZodCheck =
  (schema: z.ZodType): ProtocolCheck =>
  (value) => {
    const parsed = schema.safeParse(value);
    return parsed.success ? [] : problemsOf(parsed.error.issues, schema, value, new Reading());
  };

const maxSchemaCharacters = 100_000;
/** Checking these can take for ever (references multiply), or cannot be done without patterns. */
const unsafeKeywords = /"(?:\$ref|\$dynamicRef|\$recursiveRef|patternProperties|not|uniqueItems)"/;

/**
 * A key that the author did not write is a mistake of whoever writes it; a schema that says nothing of others is closed. One
 * that wants to take any says so: `z.looseObject`.
 */
const closed = (schema: JsonObject): JsonObject =>
  schema.type === 'object' && schema.properties && schema.additionalProperties === undefined
    ? { ...schema, additionalProperties: false }
    : schema;

/**
 * Of an uploaded policy: says early what is wrong. The policy's own schema checks again in the sandbox and fills in
 * defaults there, so what cannot be compiled here is left to it.
 */
export function createJsonSchemaChecker(schema: JsonObject | undefined): Checker {
  const text = JSON.stringify(schema ?? {});
  if (!schema || text.length > maxSchemaCharacters || unsafeKeywords.test(text)) {
    return (value) => ({ value });
  }
  const ajv = new Ajv2020({
    allErrors: true,
    strict: false,
    validateFormats: false,
    logger: false,
    // A regular expression from outside may never end; patterns are checked in the sandbox, which can be stopped.
    code: { regExp: Object.assign(() => ({ test: () => true }), { code: 'anything' }) },
  });
  let validate: ReturnType<typeof ajv.compile>;
  try {
    validate = ajv.compile(closed(schema));
  } catch {
    return (value) => ({ value });
  }
  const keys = Object.keys((schema.properties as JsonObject | undefined) ?? {});
  return (value, path) => {
    if (validate(value)) return { value };
    const problems = (validate.errors ?? []).slice(0, 20).map((error): Problem => {
      const at = `${path}${error.instancePath.replaceAll('/', '.')}`;
      const unknown = error.params.additionalProperty as string | undefined;
      if (unknown === undefined) return { path: at, message: error.message ?? 'is not allowed' };
      const close = nearest(unknown, keys);
      return {
        path: `${at}.${unknown}`,
        message: `'${unknown}' is not a key here`,
        seen: shorten(value[unknown]),
        ...(close === undefined ? {} : { nearest: close }),
      };
    });
    return { problems };
  };
}
