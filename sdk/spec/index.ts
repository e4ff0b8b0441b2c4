import type { z } from 'zod';
import { AiosError, type Problem, SpecError } from '../errors.ts';
import type { BlockSpec } from './block.ts';
import { assertBounded } from './bounds.ts';
import type { ClusterSpec } from './cluster.ts';
import type { ComponentSpec } from './component.ts';
import { problemsOf } from './issues.ts';
import type { NetworkSpec } from './network.ts';
import { openPlan, type SplitPlan, splitPlan, type WrittenPlan } from './plan.ts';
import type { PolicySpec } from './policy.ts';
import { blockReader } from './read-block.ts';
import { clusterReader } from './read-cluster.ts';
import { componentReader } from './read-component.ts';
import { networkReader } from './read-network.ts';
import { policyReader } from './read-policy.ts';
import { searchReader } from './read-search.ts';
import { vdagReader } from './read-vdag.ts';
import { maxProblems, Reading } from './reading.ts';
import type { SearchSpec } from './search.ts';
import { type DocumentMode, type DocumentReader, Source } from './source.ts';
import type { VdagSpec } from './vdag.ts';

export { documentLimits } from './bounds.ts';
export { type ResolvedResources, resolveResources } from './resources.ts';
export type { DocumentMode } from './source.ts';

export interface DocumentSpecs {
  component: ComponentSpec;
  block: BlockSpec;
  vdag: VdagSpec;
  cluster: ClusterSpec;
  policy: PolicySpec;
}
export type DocumentKind = keyof DocumentSpecs;

export interface ReadContext {
  /** Gives the id of a block whose document has none. @default `blk-` and 8 random letters and digits */
  readonly newBlockId?: () => string;
}

export interface ReadResult<T> {
  /** The document in the plain form, checked, defaults filled in. */
  readonly value: T;
  /** Accepted, but worth a look; paths are those of the user's document. */
  readonly warnings: readonly Problem[];
  /** What an AIOS document asks to be done with it; absent when it does not say. */
  readonly mode?: DocumentMode;
  /** Path in the user's document of a value of the plain form: `['nodes', 0]` → `$.body.spec.values.nodes[0]`. */
  readonly locate: (plain: readonly PropertyKey[]) => string;
}

const readers: { readonly [K in DocumentKind]: DocumentReader<z.ZodType> } = {
  component: componentReader,
  block: blockReader,
  vdag: vdagReader,
  cluster: clusterReader,
  policy: policyReader,
};

export const documentKinds = Object.keys(readers) as readonly DocumentKind[];

/** @returns `blk-` and 8 lower-case letters and digits, as AIOS does. */
export function randomBlockId(): string {
  const alphabet = '0123456789abcdefghijklmnopqrstuv';
  const random = globalThis.crypto.getRandomValues(new Uint8Array(8));
  return `blk-${Array.from(random, (byte) => alphabet[byte % alphabet.length]).join('')}`;
}

function assertNone(kind: string, problems: readonly Problem[]): void {
  const [first] = problems;
  if (!first) return;
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems, the first`;
  throw new SpecError(
    'SPEC_INVALID',
    `the ${kind} document has ${count} at ${first.path}: ${first.message.replace(/\.$/, '')}.`,
    { problems },
  );
}

function check(kind: string, schema: z.ZodType, document: unknown, reading: Reading): unknown {
  const result = schema.safeParse(document);
  const issues = result.success ? [] : result.error.issues.slice(0, maxProblems);
  const unexplained = issues.filter((issue) => !reading.explains(issue.path));
  assertNone(kind, [
    ...reading.problems,
    ...problemsOf(unexplained, schema, document, reading),
    // A value that stands for another may have left nothing to say; the schema's word still holds.
    ...(reading.problems.length === 0 && unexplained.length === 0
      ? problemsOf(issues, schema, document, reading)
      : []),
  ]);
  return result.data;
}

function read(
  kind: string,
  reader: DocumentReader<z.ZodType>,
  document: unknown,
  newId: () => string,
) {
  assertBounded(kind, document);
  const source = new Source(document, reader.aiosKeys, newId);
  const mode = reader.read(source);
  source.fields.done();
  const { reading, draft } = source;
  return { value: check(kind, reader.schema, draft.value, reading), reading, mode };
}

/**
 * Reads a document in the plain form or in the AIOS form (`header`/`head`, `body.spec.values`, flat or wrapped
 * entries, legacy keys).
 *
 * @throws {SpecError} SPEC_INVALID - with every problem, each with its path in `document`, the value seen, what was
 *   expected, and the nearest valid key
 */
export function readDocument<K extends DocumentKind>(
  kind: K,
  document: unknown,
  context: ReadContext = {},
): ReadResult<DocumentSpecs[K]> {
  const newId = context.newBlockId ?? randomBlockId;
  const { value, reading, mode } = read(kind, readers[kind], document, newId);
  return {
    value: value as DocumentSpecs[K],
    warnings: reading.warnings,
    ...(mode === undefined ? {} : { mode }),
    locate: (plain) => reading.locate(plain),
  };
}

/**
 * Reads the document of a network, of which there is one.
 *
 * @throws {SpecError} SPEC_INVALID - with every problem; unknown hooks and actions name the nearest
 */
export const readNetwork = (document: unknown): NetworkSpec =>
  read('network', networkReader, document, randomBlockId).value as NetworkSpec;

/**
 * Reads a search, in the plain form or in AIOS's. The filter is not read here.
 *
 * @throws {SpecError} SPEC_INVALID - with every problem
 */
export function readSearch(document: unknown): Pick<ReadResult<SearchSpec>, 'value' | 'locate'> {
  const { value, reading } = read('search', searchReader, document, randomBlockId);
  return { value: value as SearchSpec, locate: (plain) => reading.locate(plain) };
}

const isOpen = (document: unknown): boolean =>
  typeof document === 'object' && document !== null && 'pending' in document;

/**
 * Reads a `plan.json` as a split writes it: complete, or with hashes left open.
 *
 * @throws {SpecError} SPEC_INVALID - with every problem
 */
export function readWrittenPlan(document: unknown): WrittenPlan {
  if (!isOpen(document)) return readPlan(document);
  assertBounded('plan', document);
  return check('plan', openPlan, document, new Reading()) as WrittenPlan;
}

/**
 * Reads a complete `plan.json`: the plan's own form, its documents in the plain form.
 *
 * @throws {SpecError} SPEC_INVALID - with every problem; AiosError SPLIT_PLAN_INVALID - its weights are not hashed yet
 */
export function readPlan(document: unknown): SplitPlan {
  assertBounded('plan', document);
  if (isOpen(document)) {
    throw new AiosError(
      'SPLIT_PLAN_INVALID',
      "the plan's weights are not hashed yet. `aios create-plan` does it in the folder of the split, and writes the complete plan.json.",
      { problems: [{ path: '$.pending', message: 'names files whose hashes are left open' }] },
    );
  }
  const plan = check('plan', splitPlan, document, new Reading()) as SplitPlan;
  const problems: Problem[] = [];
  const inspect = (kind: DocumentKind, part: unknown, path: string): void => {
    try {
      readDocument(kind, part);
    } catch (error) {
      if (!AiosError.isInstance(error)) throw error;
      for (const problem of error.problems) {
        problems.push({ ...problem, path: `${path}${problem.path.slice(1)}` });
      }
    }
  };
  for (const [index, part] of plan.components.entries()) {
    inspect('component', part, `$.components[${index}]`);
  }
  for (const [index, part] of plan.blocks.entries()) inspect('block', part, `$.blocks[${index}]`);
  inspect('vdag', plan.vdag, '$.vdag');
  assertNone('plan', problems);
  return plan;
}
