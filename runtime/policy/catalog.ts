import { createHash } from 'node:crypto';
import { PolicyError } from '../../sdk/errors.ts';
import { hookNames, hooks } from '../../sdk/hooks.ts';
import { parseVersionedName } from '../../sdk/ids.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import type { Store, StoredDocument } from '../store/store.ts';
import { type Checker, createJsonSchemaChecker, createZodChecker } from './checker.ts';
import { createInProcessRunner } from './in-process.ts';
import type { PolicyRunner } from './runner.ts';
import type { SandboxPool } from './sandbox-pool.ts';

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
  runner(): Promise<PolicyRunner>;
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
    runner: async () => runner,
  };
}

/** Of a document, whether or not it is stored. */
export function uploadedEntry(tenant: string, spec: PolicySpec, pool: SandboxPool): CatalogEntry {
  const { uri, hook, artifact } = spec;
  return {
    uri,
    hook,
    description: spec.description,
    origin: 'uploaded',
    hash: artifact.hash,
    parameters: spec.parameters,
    settings: spec.settings,
    checkParameters: createJsonSchemaChecker(spec.parametersSchema),
    checkSettings: createJsonSchemaChecker(spec.settingsSchema),
    runner: () => pool.get({ tenant, uri, hook, ...artifact }),
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
  pool: SandboxPool,
): Catalog {
  const index = indexOf(builtins);
  const uploaded = new Map<string, { readonly revision: number; readonly entry: CatalogEntry }>();

  /** A schema is compiled once a version, not once an evaluation. */
  function entryOf(document: StoredDocument<PolicySpec>): CatalogEntry {
    const { tenant, id, revision, value } = document;
    const name = JSON.stringify([tenant, id]);
    const known = uploaded.get(name);
    if (known?.revision === revision) return known.entry;
    const entry = uploadedEntry(tenant, value, pool);
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
