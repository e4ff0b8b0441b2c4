import type { ShadowReport } from '../../sdk/client/api.ts';
import { AiosError, PolicyError, SpecError } from '../../sdk/errors.ts';
import { hooks } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';
import { type PolicyReference, policyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost } from '../policy/index.ts';
import type { Store } from '../store/index.ts';
import { type ShadowDocument, ShadowPolicy } from './shadow-policy.ts';

/** Policies that are tried beside the live ones, one a hook and tenant. They decide nothing and delay nothing. */
export interface Shadows {
  /**
   * From now on asked what the hook's live policies are asked, with its own state; counts start again.
   * @throws {AiosError} REQUEST_INVALID - no such hook; SPEC_INVALID - unknown policy, wrong hook or parameters
   */
  set(tenant: string, hook: string, reference: Partial<PolicyReference>): Promise<ShadowReport>;
  /** @throws {AiosError} NOT_FOUND */
  remove(tenant: string, hook: string): Promise<void>;
  reports(tenant: string): readonly ShadowReport[];
  /** Waits until every question that was taken is answered. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface ShadowOptions {
  readonly store: Store;
  readonly policies: Pick<PolicyHost, 'check' | 'observe' | 'replay'>;
  /** How long counts wait to be written together. @default 1000 */
  readonly writeDelayMs?: number;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
}

const nameOf = (tenant: string, hook: string): string => JSON.stringify([tenant, hook]);
const keyOf = (tenant: string, hook: string) => ({ tenant, kind: 'shadow', id: hook }) as const;

function assertHook(hook: string): void {
  if (Object.hasOwn(hooks, hook)) return;
  const close = nearest(hook, Object.keys(hooks));
  throw new AiosError(
    'REQUEST_INVALID',
    `there is no hook '${hook}'${close ? `; did you mean '${close}'?` : `. Hooks: ${Object.keys(hooks).join(', ')}.`}`,
  );
}

export async function openShadows(options: ShadowOptions): Promise<Shadows> {
  const { store, policies, writeDelayMs = 1000, clock = Date.now } = options;
  const shadows = new Map<string, { readonly tenant: string; readonly policy: ShadowPolicy }>();
  let timer: NodeJS.Timeout | undefined;

  function open(tenant: string, hook: string, document: ShadowDocument): ShadowPolicy {
    const policy = new ShadowPolicy(hook, document, policies.replay);
    shadows.set(nameOf(tenant, hook), { tenant, policy });
    return policy;
  }

  for (const tenant of await store.tenants()) {
    for (const { id, value } of await store.list<ShadowDocument>(tenant, 'shadow')) {
      open(tenant, id, value);
    }
  }

  async function write(): Promise<void> {
    timer = undefined;
    const dirty = [...shadows.values()].filter(({ policy }) => policy.isDirty);
    for (const { policy } of dirty) policy.isDirty = false;
    await store.commit(
      dirty.map(({ tenant, policy }) => ({
        ...keyOf(tenant, policy.hook),
        type: 'put',
        value: policy.document(),
      })),
    );
  }

  const stop = policies.observe((observed) => {
    if (shadows.size === 0) return;
    const shadow = shadows.get(nameOf(observed.tenant, observed.hook));
    if (!shadow) return;
    shadow.policy.hear(observed);
    // What is lost with it is counted again.
    timer ??= setTimeout(() => void write().catch(() => undefined), writeDelayMs).unref();
  });

  return {
    async set(tenant, hook, reference) {
      assertHook(hook);
      const { policyRuleURI } = reference;
      if (policyRuleURI === undefined) {
        throw new PolicyError(
          'REQUEST_INVALID',
          'name the policy to try: policyRuleURI is missing.',
        );
      }
      const problems = await policies.check(
        tenant,
        hook,
        policyReference.parse(reference) as PolicyReference,
      );
      const [first] = problems;
      if (first) {
        const message = `the shadow of '${hook}' cannot be: ${first.path} ${first.message}.`;
        throw new SpecError('SPEC_INVALID', message, { problems });
      }
      const document = ShadowPolicy.document(policyRuleURI, reference, clock());
      await store.commit([{ ...keyOf(tenant, hook), type: 'put', value: document }]);
      return open(tenant, hook, document).report();
    },
    async remove(tenant, hook) {
      if (!shadows.delete(nameOf(tenant, hook))) {
        throw new AiosError('NOT_FOUND', `no policy is tried beside those of hook '${hook}'.`);
      }
      await store.commit([{ ...keyOf(tenant, hook), type: 'delete' }]);
    },
    reports: (tenant) =>
      [...shadows.values()].flatMap((each) =>
        each.tenant === tenant ? [each.policy.report()] : [],
      ),
    async idle() {
      await Promise.all([...shadows.values()].map(({ policy }) => policy.idle()));
    },
    async close() {
      stop();
      clearTimeout(timer);
      await Promise.all([...shadows.values()].map(({ policy }) => policy.idle()));
      await write();
    },
  };
}
