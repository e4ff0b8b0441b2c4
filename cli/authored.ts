import { dirname, extname, resolve } from 'node:path';
import { AiosError } from '../sdk/errors.ts';
import { type Bundle, bundle } from './bundle.ts';
import type { Context } from './context.ts';
import { describe } from './describe.ts';
import { readDocument } from './documents.ts';

const codeExtensions = new Set(['.ts', '.mts', '.js', '.mjs']);
const isCode = (file: string): boolean => codeExtensions.has(extname(file));

type Document = Record<string, unknown>;

const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

async function upload(context: Context, { code, hash }: Bundle): Promise<void> {
  if (await context.client.hasArtifact(hash)) return;
  context.progress.update(`uploading ${code.byteLength} bytes`);
  await context.client.uploadArtifact(hash, code, { signal: context.signal });
  context.progress.done();
}

interface Authored {
  readonly definition: Document;
  readonly artifact: { readonly hash: string; readonly entry: string };
}

/** Bundles, looks at, and uploads an author's file. */
async function author(
  context: Context,
  file: string,
  kind: 'block' | 'policy',
  expected: readonly string[],
): Promise<Authored> {
  const path = context.path(file);
  context.progress.update(`bundling ${file}`);
  const bundled = await bundle(path, kind);
  const definition = await describe(path, bundled);
  context.progress.done();
  if (!expected.includes(String(definition.type))) {
    throw new AiosError(
      'BUNDLE_FAILED',
      `the default export of '${file}' is a ${definition.type ?? 'plain object'}; expected a ${expected.join(' or a ')}.`,
      {
        problems: [
          {
            path,
            message: `export default define${kind === 'policy' ? 'Policy' : 'Component'}(…)`,
          },
        ],
      },
    );
  }
  await upload(context, bundled);
  return { definition, artifact: { hash: bundled.hash, entry: 'default' } };
}

/** A document's `code`, resolved beside the document; undefined when it has none. */
function codeOf(document: Document, file: string): string | undefined {
  const code = document.code;
  if (code === undefined) return undefined;
  if (typeof code === 'string' && isCode(code)) {
    return file === '-' ? code : resolve(dirname(file), code);
  }
  throw new AiosError('SPEC_INVALID', `'${file}': "code" must name a .ts or .js file.`, {
    problems: [{ path: '$.code', message: 'must name a .ts or .js file', expected: './block.ts' }],
  });
}

const withoutCode = ({ code: _code, ...document }: Document): Document => document;

/** A policy document from a `definePolicy` file, or from JSON whose `code` names one. */
export async function loadPolicy(context: Context, file: string): Promise<unknown> {
  const written = isCode(file) ? {} : await readDocument(context, file);
  if (!isDocument(written)) return written;
  const code = isCode(file) ? file : codeOf(written, file);
  if (code === undefined) return written;
  const { definition, artifact } = await author(context, code, 'policy', ['policy']);
  return { ...toPolicy(definition), ...withoutCode(written), artifact };
}

/** The document of what `definePolicy` gave. */
export function toPolicy({
  type: _type,
  parameters: parametersSchema,
  settings: settingsSchema,
  input: inputSchema,
  output: outputSchema,
  ...definition
}: Document): Document {
  return { ...definition, parametersSchema, settingsSchema, inputSchema, outputSchema };
}

/** A component document from a `defineComponent` file, or from JSON whose `code` names a block. */
export async function loadComponent(context: Context, file: string): Promise<unknown> {
  const written = isCode(file) ? {} : await readDocument(context, file);
  if (!isDocument(written)) return written;
  const code = isCode(file) ? file : codeOf(written, file);
  if (code === undefined) return written;
  const expected = isCode(file) ? ['component'] : ['component', 'block'];
  const { definition, artifact } = await author(context, code, 'block', expected);
  return { ...toComponent(definition), ...withoutCode(written), artifact };
}

/** The document of what `defineComponent` or `defineBlock` gave; a block's schemas become protocols. */
function toComponent({ type, block: _block, ...definition }: Document): Document {
  if (type === 'component') return definition;
  return {
    inputProtocol: definition.input,
    outputProtocol: definition.output,
    settingsProtocol: definition.settings,
    parametersProtocol: definition.parameters,
  };
}
