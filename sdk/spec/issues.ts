import { z } from 'zod';
import { type Problem, shorten } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { oneOf, type Reading } from './reading.ts';

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** The schema of one step inside `schema`, through optional, default and pipe. */
function stepInto(schema: unknown, segment: PropertyKey): unknown {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) return inner.shape[String(segment)];
  if (inner instanceof z.ZodArray) return inner.element;
  if (inner instanceof z.ZodRecord) return inner.valueType;
  return undefined;
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return unwrap(schema.unwrap());
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema;
}

function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  const found = unwrap(path.reduce<unknown>(stepInto, schema));
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** What the issue asks for, in words; undefined where its own message says it. */
function expectation(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return oneOf(issue.values.map(String));
    case 'invalid_union':
      return [...new Set(issue.errors.flat().map(expectation))].join(' or ');
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_format':
      return issue.pattern ? `text matching ${issue.pattern}` : `a ${issue.format}`;
    default:
      return undefined;
  }
}

function messageOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
    case 'invalid_union':
      return 'has the wrong type';
    case 'invalid_value':
      return 'is not one of the allowed values';
    case 'too_small':
      return 'is too small';
    case 'too_big':
      return 'is too large';
    case 'invalid_format':
      return 'has the wrong form';
    default:
      return issue.message;
  }
}

/**
 * Turns zod's issues with a plain document into problems with the user's document.
 *
 * @param schema - the one that refused `document`; its keys are the candidates for the nearest valid key
 */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  schema: z.ZodType,
  document: unknown,
  reading: Reading,
): readonly Problem[] {
  return issues.flatMap((issue): Problem[] => {
    if (issue.code === 'unrecognized_keys') {
      const keys = keysAt(schema, issue.path);
      return issue.keys.map((key) => {
        const close = nearest(key, keys);
        return {
          path: reading.locate([...issue.path, key]),
          message: `'${key}' is not a key here`,
          seen: shorten(valueAt(document, [...issue.path, key])),
          ...(keys.length > 0 ? { expected: oneOf([...keys].sort()) } : {}),
          ...(close === undefined ? {} : { nearest: close }),
        };
      });
    }
    const seen = valueAt(document, issue.path);
    const expected = expectation(issue);
    const close =
      issue.code === 'invalid_value' ? nearest(String(seen), issue.values.map(String)) : undefined;
    return [
      {
        path: reading.locate(issue.path),
        message: seen === undefined ? 'is missing' : messageOf(issue),
        ...(expected ? { expected } : {}),
        ...(seen === undefined ? {} : { seen: shorten(seen) }),
        ...(close === undefined ? {} : { nearest: close }),
      },
    ];
  });
}
