import type { HookName } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost } from '../policy/host.ts';

type Policies = Readonly<Record<string, PolicyReference>>;

export interface Levels {
  readonly network: (tenant: string) => Policies;
  /** Of a cluster that is not there: none. */
  readonly cluster: (tenant: string, clusterId: string) => Policies | undefined;
}

const own = (policies: Policies | undefined, hook: string): readonly PolicyReference[] => {
  const found = policies && Object.hasOwn(policies, hook) ? policies[hook] : undefined;
  return found ? [found] : [];
};

/** The cluster that a question is about. */
function clusterIn(input: object): string | undefined {
  const { cluster } = input as { readonly cluster?: { readonly id?: unknown } };
  return typeof cluster?.id === 'string' ? cluster.id : undefined;
}

/** Asked with a reference of their own each: a default beside it would be another check. */
const noDefaults: ReadonlySet<HookName> = new Set(['preCheck', 'template', 'adhocAllocator']);

/**
 * A host that knows the defaults: use site over cluster over network over the policy's own, at every hook, whoever asks.
 */
export function withDefaults(host: PolicyHost, levels: Levels): PolicyHost {
  return {
    ...host,
    evaluate(request) {
      const { tenant, hook, input } = request;
      if (noDefaults.has(hook)) return host.evaluate(request);
      const clusterId = clusterIn(input as object);
      const given = request.defaults ?? [];
      const defaults = [
        ...(Array.isArray(given) ? given : [given]),
        ...own(clusterId === undefined ? undefined : levels.cluster(tenant, clusterId), hook),
        ...own(levels.network(tenant), hook),
      ] as readonly PolicyReference[];
      if (defaults.length === 0) return host.evaluate(request);
      return host.evaluate({ ...request, defaults });
    },
  };
}
