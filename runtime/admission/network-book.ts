import { type Problem, SpecError } from '../../sdk/errors.ts';
import { readNetwork } from '../../sdk/spec/index.ts';
import type { NetworkSpec } from '../../sdk/spec/network.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { Store } from '../store/index.ts';
import { applyPatch } from './network-patch.ts';

/** The network document of each tenant, in memory as it is in the store: asked at every action and decision. */
export interface NetworkBook {
  /** Empty sections where nothing was set. */
  get(tenant: string): NetworkSpec;
  /** Replaces the whole document. @throws {SpecError} SPEC_INVALID */
  put(tenant: string, document: unknown): Promise<NetworkSpec>;
  /** Sets what is named and removes what is named `null`; the rest stays. @throws {SpecError} SPEC_INVALID */
  patch(tenant: string, patch: unknown): Promise<NetworkSpec>;
}

export interface NetworkBookOptions {
  readonly store: Store;
  readonly policies: Pick<PolicyHost, 'check'>;
  /** Runs alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  /** Somebody's default may have changed. */
  readonly onChange: (tenant: string) => void;
}

const empty: NetworkSpec = Object.freeze({ policies: {}, preChecks: {}, templates: {} });
const keyOf = (tenant: string) => ({ tenant, kind: 'network', id: 'network' }) as const;

/** Every reference of the document, the hook that it is for, and where it stands. */
function referencesIn(spec: NetworkSpec) {
  const list = (section: keyof NetworkSpec, hookOf: (key: string) => string) =>
    Object.entries(spec[section]).map(([key, reference]) => ({
      hook: hookOf(key),
      reference,
      path: `$.${section}[${JSON.stringify(key)}]`,
    }));
  return [
    ...list('policies', (hook) => hook),
    ...list('preChecks', () => 'preCheck'),
    ...list('templates', () => 'template'),
  ];
}

export async function openNetworkBook(options: NetworkBookOptions): Promise<NetworkBook> {
  const { store, policies, exclusive } = options;
  const known = new Map<string, NetworkSpec>();
  for (const tenant of await store.tenants()) {
    const document = await store.get<NetworkSpec>(keyOf(tenant));
    if (document) known.set(tenant, { ...empty, ...document.value });
  }

  async function problemsOf(tenant: string, spec: NetworkSpec): Promise<readonly Problem[]> {
    const problems: Problem[] = [];
    for (const { hook, reference, path } of referencesIn(spec)) {
      const found = await policies.check(tenant, hook, reference);
      problems.push(
        ...found.map((p) => ({ ...p, path: p.path.replace(`$.policies.${hook}`, () => path) })),
      );
    }
    return problems;
  }

  async function write(tenant: string, spec: NetworkSpec): Promise<NetworkSpec> {
    const problems = await problemsOf(tenant, spec);
    const [first] = problems;
    if (first) {
      throw new SpecError(
        'SPEC_INVALID',
        `the network document has ${problems.length === 1 ? 'a problem' : `${problems.length} problems, the first`} at ${first.path}: ${first.message}.`,
        { problems },
      );
    }
    await store.commit([{ ...keyOf(tenant), type: 'put', value: spec }]);
    known.set(tenant, spec);
    options.onChange(tenant);
    return spec;
  }

  const get = (tenant: string): NetworkSpec => known.get(tenant) ?? empty;
  return {
    get,
    put: (tenant, document) => exclusive(() => write(tenant, readNetwork(document))),
    patch: (tenant, patch) => exclusive(async () => write(tenant, applyPatch(get(tenant), patch))),
  };
}
