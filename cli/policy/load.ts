import { resolve } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import type { HookName } from '../../sdk/hooks.ts';
import { readDocument } from '../../sdk/spec/index.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import { toPolicy } from '../authored.ts';
import { type Bundle, bundle } from '../bundle.ts';
import type { Context } from '../context.ts';
import { describe } from '../describe.ts';
import { type PolicyCase, readCases } from './cases.ts';

/** An author's policy, bundled and looked at; nothing was sent anywhere. */
export interface LoadedPolicy {
  readonly path: string;
  readonly spec: PolicySpec;
  readonly hook: HookName;
  readonly bundled: Bundle;
  /** The bundle's text. */
  readonly source: string;
}

/** @throws {AiosError} BUNDLE_FAILED, SPEC_INVALID - every problem with its place */
export async function loadLocalPolicy(context: Context, file: string): Promise<LoadedPolicy> {
  const path = context.path(file);
  context.progress.update(`bundling ${file}`);
  const bundled = await bundle(path, 'policy');
  const definition = await describe(path, bundled);
  const { type } = definition;
  context.progress.done();
  if (type !== 'policy') {
    throw new AiosError(
      'BUNDLE_FAILED',
      `the default export of '${file}' is a ${type ?? 'plain object'}; expected what definePolicy(…) gives.`,
    );
  }
  const artifact = { hash: bundled.hash, entry: 'default' };
  const document = { ...toPolicy(definition), artifact };
  const spec = readDocument('policy', document).value as PolicySpec;
  const source = Buffer.from(bundled.code).toString('utf8');
  return { path, spec, hook: spec.hook as HookName, bundled, source };
}

/** `gpu-picker.cases.json` beside `gpu-picker.ts`. */
export const casesFileOf = (file: string): string => file.replace(/\.[cm]?[jt]s$/, '.cases.json');

/** @throws {AiosError} NOT_FOUND; SPEC_INVALID with every problem */
export async function loadCases(
  context: Context,
  hook: HookName,
  file: string,
): Promise<readonly PolicyCase[]> {
  const text = await context.readText(resolve(context.io.cwd, file));
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new AiosError('SPEC_INVALID', `'${file}' is no JSON: ${message}.`, { cause });
  }
  return readCases(hook, document, file);
}
