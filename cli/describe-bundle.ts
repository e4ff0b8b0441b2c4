/**
 * Runs in a process of its own: imports an author's bundle, which may do anything, and sends what its default export
 * is. The parent ends it.
 */
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { AiosError } from '../sdk/errors.ts';
import type { Described } from './describe.ts';

const jsonSchema = (schema: unknown): Record<string, unknown> | undefined =>
  schema instanceof Object && '_zod' in schema
    ? z.toJSONSchema(schema as z.ZodType, { io: 'input', unrepresentable: 'any' })
    : undefined;

/** Replaces zod schemas by JSON Schemas and drops functions, so that the rest can cross to the parent. */
function toData(value: unknown): unknown {
  const schema = jsonSchema(value);
  if (schema) return schema;
  if (Array.isArray(value)) return value.map(toData);
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toData(inner)]));
}

async function describe(file: string): Promise<Described> {
  const module: { default?: unknown } = await import(pathToFileURL(file).href);
  if (typeof module.default !== 'object' || module.default === null) {
    return { type: 'nothing', exports: Object.keys(module) };
  }
  return { type: 'definition', definition: toData(module.default) as Record<string, unknown> };
}

const [file = ''] = process.argv.slice(2);
const described = await describe(file).catch((error: unknown): Described => {
  const failure = error instanceof Error ? error : new Error(String(error));
  const problems = AiosError.isInstance(failure) ? failure.problems : [];
  return { type: 'failure', message: failure.message, stack: failure.stack ?? '', problems };
});
process.send?.(described, () => process.exit(0));
