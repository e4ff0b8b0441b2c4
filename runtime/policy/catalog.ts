import { createHash } from 'node:crypto';
import { PolicyError } from '../../sdk/errors.ts';
import { type HookName, hookNames, hooks } from '../../sdk/hooks.ts';
import { parseVersionedName } from '../../sdk/ids.ts';
import { type JsonSchema, toJsonSchema } from '../../sdk/json-schema.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import { compileProtocol, type ProtocolCheck } from '../../sdk/protocol.ts';
import type { ExecutionType } from '../../sdk/spec/execution.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import type { Store, StoredDocument } from '../store/store.ts';
import {
  type Checker,
  createJsonSchemaChecker,
  createZodCheck,
  createZodChecker,
} from './checker.ts';
import { digestOf } from './digest.ts';
import type { Runners } from './execution/index.ts';
import { createInProcessRunner } from './in-process.ts';
import type { PolicyRunner } from './runner.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** A policy that can be evaluated, wherever it runs. */
export interface CatalogEntry {
  readonly uri: string;
  readonly hook: string;
  readonly description: string;
  readonly origin: 'built-in' | 'uploaded';
  /** Of the uploaded bundle; of a built-in's URI and function. */
  readonly hash: string;
  /** The policy's own, under everything a document says. */
  readonly parameters: JsonObject;
  readonly settings: JsonObject;
  readonly checkParameters: Checker;
  readonly checkSettings: Checker;
  /** JSON Schemas of the two, where somebody wrote them. */
  readonly schemas: () => {
    readonly parametersSchema?: JsonSchema;
    readonly settingsSchema?: JsonSchema;
  };
  readonly execution: ExecutionType | 'in-process';
  /** Of one evaluation. */
  readonly timeLimitMs: number;
  /** Of a function's input and output, where its document says what they are. */
  readonly checkInput?: ProtocolCheck;
  readonly checkOutput?: ProtocolCheck;
  /** @param asJob - in a fresh sandbox, where it has code that can run in one */
  runner(asJob?: boolean): Promise<PolicyRunner>;
}

export interface Catalog {
  list(tenant: string): Promise<readonly CatalogEntry[]>;
  /** @throws {PolicyError} POLICY_NOT_FOUND - names the nearest; URI_AMBIGUOUS - tagless, and several match */
  resolve(tenant: string, uri: string): Promise<CatalogEntry>;
}

function builtInEntry(policy: AnyPolicy): CatalogEntry {
  const runner = createInProcessRunner(policy);
  const code = `${policy.uri}\n${policy.code?.() ?? policy.evaluate.toString()}`;
  return {
    uri: policy.uri,
    hook: policy.hook,
    description: policy.description,
    origin: 'built-in',
    hash: `sha256:${createHash('sha256').update(code).digest('hex')}`,
    parameters: {},
    settings: {},
    checkParameters: createZodChecker(policy.parameters),
    checkSettings: createZodChecker(policy.settings),
    schemas: () => ({
      parametersSchema: toJsonSchema(policy.parameters),
      settingsSchema: toJsonSchema(policy.settings),
    }),
    execution: 'in-process',
    timeLimitMs: hooks[policy.hook].timeLimitMs,
    ...(policy.input ? { checkInput: createZodCheck(policy.input) } : {}),
    ...(policy.output ? { checkOutput: createZodCheck(policy.output) } : {}),
    runner: async () => runner,
  };
}

/** Of the code; of what has none here, of the document that says where it is. */
const hashOf = ({ artifact, execution, uri }: PolicySpec): string =>
  artifact?.hash ?? digestOf({ uri, execution });

/** Of a document, whether or not it is stored. */
export function uploadedEntry(
  tenant: string,
  spec: PolicySpec,
  runners: Pick<Runners, 'get'>,
): CatalogEntry {
  const { uri, hook, execution, inputSchema, outputSchema } = spec;
  return {
    uri,
    hook,
    description: spec.description,
    origin: 'uploaded',
    hash: hashOf(spec),
    parameters: spec.parameters,
    settings: spec.settings,
    checkParameters: createJsonSchemaChecker(spec.parametersSchema),
    checkSettings: createJsonSchemaChecker(spec.settingsSchema),
    schemas: () => ({
      ...(spec.parametersSchema ? { parametersSchema: spec.parametersSchema } : {}),
      ...(spec.settingsSchema ? { settingsSchema: spec.settingsSchema } : {}),
    }),
    execution: execution.type,
    timeLimitMs: execution.timeLimitMs ?? hooks[hook as HookName].timeLimitMs,
    ...(inputSchema ? { checkInput: compileProtocol(inputSchema) } : {}),
    ...(outputSchema ? { checkOutput: compileProtocol(outputSchema) } : {}),
    runner: (asJob) => runners.get(tenant, spec, asJob),
  };
}

function indexOf(builtins: readonly AnyPolicy[]): ReadonlyMap<string, CatalogEntry> {
  const index = new Map<string, CatalogEntry>();
  for (const policy of builtins) {
    if (index.has(policy.uri)) {
      throw new PolicyError(
        'ALREADY_EXISTS',
        `policy '${policy.uri}' is passed in twice. Give one of them another version.`,
      );
    }
    index.set(policy.uri, builtInEntry(policy));
  }
  const missing = hookNames.filter((hook) => index.get(hooks[hook].defaultPolicy)?.hook !== hook);
  if (missing.length > 0) {
    const named = missing.map((hook) => `'${hooks[hook].defaultPolicy}' (${hook})`).join(', ');
    throw new PolicyError(
      'POLICY_DEFAULT_MISSING',
      `the default policies ${named} were not passed in. Pass builtinPolicies of 'aios-sdk/policies', or policies of those URIs.`,
      { details: { missing: missing.map((hook) => hooks[hook].defaultPolicy) } },
    );
  }
  return index;
}

/** Built-in policies and the tenant's uploaded ones; a built-in cannot be shadowed. */
export function createCatalog(
  builtins: readonly AnyPolicy[],
  store: Store,
  runners: Pick<Runners, 'get'>,
): Catalog {
  const index = indexOf(builtins);
  const uploaded = new Map<string, { readonly revision: number; readonly entry: CatalogEntry }>();

  /** A schema is compiled once a version, not once an evaluation. */
  function entryOf(document: StoredDocument<PolicySpec>): CatalogEntry {
    const { tenant, id, revision, value } = document;
    const name = JSON.stringify([tenant, id]);
    const known = uploaded.get(name);
    if (known?.revision === revision) return known.entry;
    const entry = uploadedEntry(tenant, value, runners);
    uploaded.set(name, { revision, entry });
    return entry;
  }

  async function readUploaded(tenant: string, uri: string): Promise<CatalogEntry | undefined> {
    const document = await store.get<PolicySpec>({ tenant, kind: 'policy', id: uri });
    if (document) return entryOf(document);
    uploaded.delete(JSON.stringify([tenant, uri]));
    return undefined;
  }

  async function list(tenant: string): Promise<readonly CatalogEntry[]> {
    const documents = await store.list<PolicySpec>(tenant, 'policy');
    const own = documents.filter(({ id }) => !index.has(id)).map(entryOf);
    return [...index.values(), ...own];
  }

  return {
    list,
    async resolve(tenant, uri) {
      const exact = index.get(uri) ?? (await readUploaded(tenant, uri));
      if (exact) return exact;
      const wanted = parseVersionedName(uri);
      const all = await list(tenant);
      const matches =
        wanted.releaseTag === undefined
          ? all.filter((entry) => {
              const { name, version } = parseVersionedName(entry.uri);
              return name === wanted.name && version === wanted.version;
            })
          : [];
      const [match, another] = matches;
      if (match && another) {
        const uris = matches.map((entry) => entry.uri);
        throw new PolicyError(
          'URI_AMBIGUOUS',
          `policy '${uri}' may be ${uris.join(' or ')}. Add the release tag.`,
          { details: { matches: uris } },
        );
      }
      if (match) return match;
      const close = nearest(
        uri,
        all.map((entry) => entry.uri),
      );
      throw new PolicyError(
        'POLICY_NOT_FOUND',
        `policy '${uri}' does not exist${close ? `; did you mean '${close}'?` : '.'} List policies with: aios get policies`,
        { details: { uri, ...(close ? { nearest: close } : {}) } },
      );
    },
  };
}
