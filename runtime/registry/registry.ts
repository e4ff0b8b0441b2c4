import { isDeepStrictEqual } from 'node:util';
import type { Created, CreatedPlan, ResourceKind, ResourceSpecs } from '../../sdk/client/api.ts';
import { AiosError, type Problem, SpecError } from '../../sdk/errors.ts';
import { type DocumentMode, readDocument, readPlan } from '../../sdk/spec/index.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { Operation, Store, StoredDocument } from '../store/index.ts';
import { createDocuments, type Documents, idOf } from './documents.ts';
import { assertUnused } from './in-use.ts';
import { rememberVersion } from './published-policy.ts';
import { checkReferences, type Locate, type Lookup, type ReferenceChecks } from './references.ts';
import { isSameDocument } from './same-document.ts';
import { type SharedPlan, shareLayers } from './share-layers.ts';

export interface RegistryOptions extends ReferenceChecks {
  readonly store: Store;
  /** One change at a time: what a check has seen still holds when its commit is made. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  /** Policies that are built in cannot be shadowed by uploaded ones. */
  readonly isBuiltInPolicy: (tenant: string, uri: string) => Promise<boolean>;
}

export interface PlanOptions {
  /** Whether blocks that run the same layers already take the place of the plan's. @default true */
  readonly share?: boolean;
}

export interface ReadSpec<T> {
  readonly spec: T;
  readonly warnings: readonly Problem[];
  /** What an AIOS document asks to be done with it. */
  readonly mode: DocumentMode | undefined;
}

/** What users declared: checked before it is stored, and kept whole while something refers to it. */
export interface Registry extends Documents {
  /** Reads and checks a document and all it refers to; stores nothing. @throws {SpecError} SPEC_INVALID */
  read<K extends ResourceKind>(
    tenant: string,
    kind: K,
    document: unknown,
  ): Promise<ReadSpec<ResourceSpecs[K]>>;
  /** @throws {AiosError} SPEC_INVALID, ALREADY_EXISTS, STORE_CONFLICT */
  create<K extends ResourceKind>(
    tenant: string,
    kind: K,
    document: unknown,
    options: {
      readonly replace: boolean;
      /** Completes what was read, before it is stored; what refers to what is not checked again. */
      readonly amend?: (spec: ResourceSpecs[K]) => ResourceSpecs[K];
      /** Last word before the commit. May throw. */
      readonly beforeCommit?: (
        spec: ResourceSpecs[K],
        existing: StoredDocument<ResourceSpecs[K]> | undefined,
      ) => Promise<void>;
    },
  ): Promise<Created<ResourceSpecs[K]>>;
  /** Components, blocks and vDAG in one commit; what exists identically stays, and layers that run are shared. */
  createPlan(tenant: string, plan: unknown, options?: PlanOptions): Promise<CreatedPlan>;
  /** What {@link Registry.createPlan} would create and what it would share. Stores nothing. */
  sharePlan(tenant: string, plan: SplitPlan, options?: PlanOptions): Promise<SharedPlan>;
  /** Commits `operations` if nothing refers to the document. @throws {AiosError} NOT_FOUND, IN_USE */
  remove(
    tenant: string,
    kind: ResourceKind,
    id: string,
    operations?: readonly Operation[],
  ): Promise<void>;
}

function assertNoProblems(what: string, problems: readonly Problem[]): void {
  const [first] = problems;
  if (!first) return;
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems, the first`;
  throw new SpecError('SPEC_INVALID', `${what} has ${count} at ${first.path}: ${first.message}.`, {
    problems,
  });
}

/** An AIOS document may say itself that nothing is to be made of it. */
function assertMayCreate(kind: ResourceKind, mode: DocumentMode | undefined): void {
  if (mode === undefined || mode === 'create' || mode === 'allocate') return;
  assertNoProblems(`the ${kind} document`, [
    {
      path: '$.mode',
      message: `mode '${mode}' asks for a check only; use --dry-run for that, or remove the mode to create it`,
      seen: mode,
    },
  ]);
}

const exists = (kind: ResourceKind, id: string): AiosError =>
  new AiosError(
    'ALREADY_EXISTS',
    `${kind} '${id}' exists already. Delete it first, give this one another ${kind === 'block' || kind === 'cluster' ? 'id' : 'version'}, or replace it (--replace).`,
    { details: { kind, id } },
  );

/** One prefix for the paths of a document inside a plan. */
const inside =
  (prefix: string): Locate =>
  (plain) =>
    plain.reduce<string>(
      (path, key) => path + (typeof key === 'number' ? `[${key}]` : `.${String(key)}`),
      prefix,
    );

interface Planned<K extends ResourceKind> {
  readonly kind: K;
  readonly spec: ResourceSpecs[K];
  readonly prefix: string;
}

function plannedDocuments(plan: SplitPlan): readonly Planned<'component' | 'block' | 'vdag'>[] {
  return [
    ...plan.components.map((spec, n) => ({
      kind: 'component' as const,
      spec,
      prefix: `$.components[${n}]`,
    })),
    ...plan.blocks.map((spec, n) => ({ kind: 'block' as const, spec, prefix: `$.blocks[${n}]` })),
    { kind: 'vdag' as const, spec: plan.vdag, prefix: '$.vdag' },
  ];
}

export function createRegistry(options: RegistryOptions): Registry {
  const { store, exclusive } = options;
  const documents = createDocuments(store);

  const isLeaving = async (tenant: string, id: string): Promise<boolean> =>
    (await store.get({ tenant, kind: 'block-deletion', id })) !== undefined;

  const storedLookup = (tenant: string): Lookup => ({
    component: async (uri) => (await documents.get(tenant, 'component', uri))?.value,
    block: async (id) =>
      (await isLeaving(tenant, id)) ? undefined : (await documents.get(tenant, 'block', id))?.value,
    hasVdag: async (uri) => (await documents.get(tenant, 'vdag', uri)) !== undefined,
  });

  async function read<K extends ResourceKind>(tenant: string, kind: K, document: unknown) {
    const { value, warnings, locate, mode } = readDocument(kind, document);
    const spec = value as ResourceSpecs[K];
    const lookup = storedLookup(tenant);
    const found = await checkReferences(kind, spec, { ...options, tenant, lookup, locate });
    assertNoProblems(`the ${kind} document`, found.problems);
    return { spec, warnings: [...warnings, ...found.warnings], mode };
  }

  const create: Registry['create'] = (tenant, kind, document, { replace, amend, beforeCommit }) =>
    exclusive(async () => {
      const { spec: stated, warnings, mode } = await read(tenant, kind, document);
      const spec = amend?.(stated) ?? stated;
      assertMayCreate(kind, mode);
      const id = idOf(kind, spec);
      const existing = await documents.get(tenant, kind, id);
      const taken = kind === 'policy' && (await options.isBuiltInPolicy(tenant, id));
      const version =
        kind === 'policy' && !taken
          ? await rememberVersion(store, tenant, spec as ResourceSpecs['policy'])
          : [];
      // Publishing the same again changes nothing.
      if (taken || (existing && !replace && version)) throw exists(kind, id);
      if (kind === 'block' && (await isLeaving(tenant, id))) {
        throw new AiosError(
          'IN_USE',
          `block '${id}' is being deleted; its instances are ending. Create it again when it is gone.`,
          { details: { kind, id, by: [] } },
        );
      }
      await beforeCommit?.(spec, existing);
      const ifRevision = existing?.revision ?? 0;
      const revision = await store.commit([
        { tenant, kind, id, type: 'put', value: spec, ifRevision },
        ...(version ?? []),
      ]);
      return { kind, id, revision, spec, warnings };
    });

  async function checkPlan(tenant: string, plan: SplitPlan): Promise<readonly Operation[]> {
    const planned = plannedDocuments(plan);
    const stored = storedLookup(tenant);
    const lookup: Lookup = {
      component: async (uri) =>
        plan.components.find((component) => component.uri === uri) ?? stored.component(uri),
      block: async (id) => plan.blocks.find((block) => block.id === id) ?? stored.block(id),
      hasVdag: stored.hasVdag,
    };
    const problems: Problem[] = [];
    const operations = new Map<string, Operation>();
    for (const { kind, spec, prefix } of planned) {
      const locate = inside(prefix);
      const found = await checkReferences(kind, spec, { ...options, tenant, lookup, locate });
      problems.push(...found.problems);
      const id = idOf(kind, spec);
      const existing = await documents.get(tenant, kind, id);
      // Compared as what would be stored: JSON knows no `undefined`.
      const value: unknown = JSON.parse(JSON.stringify(spec));
      const same = existing ? isSameDocument(kind, existing.value, value) : true;
      if (!same || (kind === 'block' && (await isLeaving(tenant, id)))) throw exists(kind, id);
      const key = `${kind} ${id}`;
      const twin = operations.get(key);
      if (twin?.type === 'put' && !isDeepStrictEqual(twin.value, value)) {
        problems.push({ path: prefix, message: `${kind} '${id}' stands here twice, differently` });
      }
      if (!existing) operations.set(key, { tenant, kind, id, type: 'put', value, ifRevision: 0 });
    }
    assertNoProblems('the plan', problems);
    return [...operations.values()];
  }

  const sharePlan: Registry['sharePlan'] = async (tenant, plan, { share = true } = {}) =>
    share
      ? shareLayers(documents, tenant, plan, (blockId) => isLeaving(tenant, blockId))
      : { plan, shared: [] };

  return {
    ...documents,
    read,
    create,
    sharePlan,
    createPlan: (tenant, document, planOptions) =>
      exclusive(async () => {
        const { plan, shared } = await sharePlan(tenant, readPlan(document), planOptions);
        await store.commit(await checkPlan(tenant, plan));
        return {
          model: plan.vdag.uri,
          vdagUri: plan.vdag.uri,
          components: plan.components.map(({ uri }) => uri),
          blocks: plan.blocks.map(({ id }) => id),
          ...(shared.length > 0 ? { sharedBlocks: shared } : {}),
        };
      }),
    remove: (tenant, kind, id, operations) =>
      exclusive(async () => {
        await documents.require(tenant, kind, id);
        await assertUnused(store, documents, tenant, kind, id);
        await store.commit(operations ?? [{ tenant, kind, id, type: 'delete' }]);
      }),
  };
}
