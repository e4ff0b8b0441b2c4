import type { z } from 'zod';
import { PolicyError, type Problem } from '../../sdk/errors.ts';
import { type HookName, hooks } from '../../sdk/hooks.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { Reading } from '../../sdk/spec/reading.ts';
import { meanings } from './meaning.ts';

type Meaning = (input: unknown, output: unknown) => readonly Problem[];

const isText = (value: unknown): boolean => value === undefined || typeof value === 'string';
const rowKeys = new Set(['nodeId', 'score', 'refusedBy', 'seen']);

/** What the schema of `resourceAllocator.dry_run` says of one row of `nodes`. */
function isNodeRow(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Readonly<Record<string, unknown>>;
  for (const key in row) if (!rowKeys.has(key)) return false;
  return (
    typeof row.nodeId === 'string' &&
    (row.score === undefined || Number.isFinite(row.score)) &&
    isText(row.refusedBy) &&
    isText(row.seen)
  );
}

function isScores(value: unknown): value is readonly number[] {
  if (!Array.isArray(value)) return false;
  for (let at = 0; at < value.length; at += 1) {
    const score: unknown = value[at];
    // Infinity − Infinity is no number either. A call of `isFinite` would make an object of each.
    if (typeof score !== 'number' || score - score !== 0) return false;
  }
  return true;
}

/**
 * The schema takes about a microsecond and two objects a row, and an allocator answers one row or one number a node. They
 * are checked here; whatever is wrong with one is left to the schema, which says it in words.
 */
function parse(schema: z.ZodType, output: unknown) {
  const { nodes, scores, ...rest } = (output ?? {}) as {
    readonly nodes?: unknown;
    readonly scores?: unknown;
  };
  const long: { nodes?: readonly unknown[]; scores?: readonly number[] } = {};
  if (Array.isArray(nodes) && nodes.length > 0 && nodes.every(isNodeRow)) long.nodes = nodes;
  if (isScores(scores)) long.scores = scores;
  if (!long.nodes && !long.scores) return schema.safeParse(output);
  const short = {
    ...rest,
    ...(nodes === undefined ? {} : { nodes: long.nodes ? [] : nodes }),
    ...(scores === undefined ? {} : { scores: long.scores ? [] : scores }),
  };
  const parsed = schema.safeParse(short);
  return parsed.success
    ? { ...parsed, data: { ...(parsed.data as object), ...long } }
    : schema.safeParse(output);
}

/**
 * @returns the answer with defaults filled in
 * @throws {PolicyError} POLICY_OUTPUT_INVALID with every problem
 */
export function checkOutput(
  uri: string,
  hook: HookName,
  action: string,
  input: unknown,
  output: unknown,
): unknown {
  // The types of hooks.ts tie the three together; a generic index cannot show it.
  const schema = (hooks[hook].outputs as Readonly<Record<string, z.ZodType>>)[action];
  const meaning = (meanings[hook] as Readonly<Record<string, Meaning>> | undefined)?.[action];
  if (!schema) {
    throw new PolicyError('UNSUPPORTED', `hook '${hook}' has no action '${action}'.`);
  }
  const parsed = parse(schema, output);
  const problems = parsed.success
    ? (meaning?.(input, parsed.data) ?? [])
    : problemsOf(parsed.error.issues, schema, output, new Reading());
  if (!parsed.success || problems.length > 0) {
    const [first] = problems;
    throw new PolicyError(
      'POLICY_OUTPUT_INVALID',
      `policy '${uri}' gave a wrong answer to ${hook}.${action}: ${first ? `${first.path} ${first.message}${first.expected ? `; expected ${first.expected}` : ''}${first.seen ? `, got ${first.seen}` : ''}` : 'no JSON'}.`,
      { problems: problems.slice(0, 20) },
    );
  }
  return parsed.data;
}
