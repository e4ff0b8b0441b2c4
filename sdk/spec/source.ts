import type { z } from 'zod';
import { at, isObject, type Located } from './located.ts';
import { Draft, Fields, Reading } from './reading.ts';

const legacyReason = 'is a legacy AIOS key that nothing reads; it is ignored';
export const builtInTemplate = 'Parser/V1';

/** What the caller asks a document to do, as AIOS writes it. */
export type DocumentMode =
  | 'allocate'
  | 'dry_run'
  | 'select_clusters'
  | 'create'
  | 'validateGraph'
  | 'dryRunAssignment'
  | 'dryRun';

/** Reads one kind of document, in either dialect, into its plain form. */
export interface DocumentReader<S extends z.ZodType> {
  readonly schema: S;
  /** Keys that only the AIOS dialect has: a missing key is then reported under its AIOS name. */
  readonly aiosKeys: readonly string[];
  /** Fills the draft; the schema checks it afterwards. */
  read(source: Source): DocumentMode | undefined;
}

/** A document without its envelope, and the draft of its plain form. */
export class Source {
  readonly reading: Reading;
  readonly fields: Fields;
  readonly draft: Draft;
  readonly isAios: boolean;
  /** For documents that leave their id to us. */
  readonly newBlockId: () => string;

  constructor(document: unknown, aiosKeys: readonly string[], newBlockId: () => string) {
    this.reading = new Reading();
    const { values, wrapped } = unwrapEnvelope(this.reading, { value: document, path: '$' });
    this.fields = new Fields(this.reading, values);
    this.fields.ignore(legacyReason, '@templateType', 'parser_version');
    this.draft = new Draft(this.reading, [], values.path);
    this.isAios = wrapped || aiosKeys.some((key) => this.fields.has(key));
    this.newBlockId = newBlockId;
  }

  /** The field under its plain or its AIOS name; of the document itself, or of an object inside it. */
  pick(plainName: string, aiosName: string, fields: Fields = this.fields): Located {
    return this.isAios ? fields.take(aiosName, plainName) : fields.take(plainName, aiosName);
  }

  /** Takes fields over that have one name in both dialects and one shape. */
  copy(...names: readonly string[]): void {
    for (const name of names) this.draft.put(name, this.fields.take(name));
  }

  mode<const M extends DocumentMode>(aliases: Readonly<Record<string, M>>): M | undefined {
    const mode = this.fields.take('mode');
    if (mode.value === undefined) return undefined;
    if (typeof mode.value === 'string' && Object.hasOwn(aliases, mode.value)) {
      return aliases[mode.value];
    }
    this.reading.problem(mode, { message: 'is no mode of this document' }, Object.keys(aliases));
    return undefined;
  }
}

/** Looks inside `{spec: {values}}` and `{values}`; anything else is itself. */
export function unwrapValues(reading: Reading, located: Located, ...beside: string[]): Located {
  const wrapper = ['spec', 'values'].find((name) => isObject(at(located, name).value));
  if (wrapper === undefined) return located;
  const fields = new Fields(reading, located);
  for (const name of [wrapper, ...beside]) fields.take(name);
  fields.ignore(legacyReason, '@templateType', 'header', 'uid');
  fields.done();
  const inner = at(located, wrapper);
  return wrapper === 'values' ? inner : unwrapSpec(reading, inner);
}

function unwrapSpec(reading: Reading, spec: Located): Located {
  const fields = new Fields(reading, spec);
  const values = fields.take('values');
  fields.ignore(legacyReason, '@templateType');
  fields.done();
  return values;
}

/** Takes the AIOS envelope off: `{header | head, body: {spec: {values}}}`, `{body: {values}}` or `{values}`. */
export function unwrapEnvelope(
  reading: Reading,
  document: Located,
): { readonly values: Located; readonly wrapped: boolean } {
  if (!isObject(document.value)) return { values: document, wrapped: false };
  const body = at(document, 'body');
  const bareValues = at(document, 'values');
  if (body.value === undefined && !isObject(bareValues.value)) {
    return { values: document, wrapped: false };
  }
  const fields = new Fields(reading, document);
  const header = fields.take('header', 'head');
  fields.ignore(legacyReason, 'parser_version', '@templateType');
  fields.take(body.value === undefined ? 'values' : 'body');
  fields.done();
  checkHeader(reading, header);
  if (body.value === undefined) return { values: bareValues, wrapped: true };
  const values = unwrapValues(reading, body);
  // A body that holds neither spec nor values: the whole document is missing, not each of its keys.
  return {
    values: values === body ? { value: undefined, path: `${body.path}.spec.values` } : values,
    wrapped: true,
  };
}

function checkHeader(reading: Reading, header: Located): void {
  if (header.value === undefined) return;
  const fields = new Fields(reading, header);
  const template = fields.take('templateUri');
  const parameters = fields.take('parameters');
  fields.ignore(legacyReason, '@templateType', 'parser_version');
  fields.done();
  if (template.value !== undefined && template.value !== '' && template.value !== builtInTemplate) {
    reading.problem(template, {
      message: 'names a template, which only a control plane knows',
      expected: `'${builtInTemplate}' or no templateUri`,
    });
  }
  if (isObject(parameters.value) && Object.keys(parameters.value).length > 0) {
    reading.warn(parameters, 'is for external templates; it is ignored');
  }
}
