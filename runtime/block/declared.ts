import type { ScaleStatus } from '../../sdk/client/control.ts';
import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { PolicyReference, ResourceAmounts } from '../../sdk/spec/common.ts';
import { resolveResources } from '../../sdk/spec/index.ts';
import { type Documents, whyNotRunnable } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import { resolvePolicies, resolveWorkload, type Workload } from './workload.ts';

/** What the documents say of a block. */
export interface Declared {
  readonly spec: BlockSpec;
  readonly revision: number;
  /** Hook → reference; the block's own over its component's. */
  readonly policies: Readonly<Record<string, PolicyReference>>;
  /** Of one instance; absent where the documents do not say: placing it explains which amount is missing. */
  readonly resources?: ResourceAmounts;
  /** Instances it should have: what was asked for, within its limits. */
  readonly wanted: number;
  /** Who asked for as many, and which instances go first where there are too many. */
  readonly scale?: BlockScale;
  /** It was deleted, and goes when its instances are gone. */
  readonly leaving: boolean;
  readonly workload?: Workload;
  /** Why there is no workload. */
  readonly problem?: string;
}

/** How many instances were asked for; kept until the block is deleted. */
export interface BlockScale {
  readonly instances: number;
  readonly by: ScaleStatus['by'];
  readonly remove?: readonly string[];
  /** Nodes that new ones go to if they can. */
  readonly prefer?: readonly string[];
}

/** The document's limits hold whatever was asked for: they may have changed since. */
export const wantedInstances = (
  { minInstances, maxInstances }: Pick<BlockSpec, 'minInstances' | 'maxInstances'>,
  asked: number | undefined,
): number => Math.max(minInstances, Math.min(maxInstances, asked ?? minInstances));

/** Names the block where its policies are asked: what they keep is kept under it. */
export const useSiteOf = (blockId: string): string => `block/${blockId}`;

/** @returns undefined when there is no such block */
export async function readDeclared(
  store: Store,
  documents: Documents,
  tenant: string,
  blockId: string,
): Promise<Declared | undefined> {
  const document = await documents.get(tenant, 'block', blockId);
  if (!document) return undefined;
  const { value: spec, revision } = document;
  const deletion = await store.get({ tenant, kind: 'block-deletion', id: blockId });
  const scale = (await store.get<BlockScale>({ tenant, kind: 'block-scale', id: blockId }))?.value;
  const component = (await documents.get(tenant, 'component', spec.componentUri))?.value;
  const workload = component && resolveWorkload(spec, component);
  const problem = component
    ? `component '${spec.componentUri}' ${whyNotRunnable(component) ?? 'cannot run'}`
    : `component '${spec.componentUri}' does not exist`;
  const policies = component ? resolvePolicies(spec, component) : spec.policies;
  const { resources } = resolveResources(spec, policies, component?.metadata);
  return {
    ...{ spec, revision, policies },
    ...(resources ? { resources } : {}),
    wanted: wantedInstances(spec, scale?.instances),
    ...(scale ? { scale } : {}),
    leaving: deletion !== undefined,
    ...(workload ? { workload } : { problem }),
  };
}

/** In the order in which instances go when there are too many: those named, then what failed, then the least used. */
export function firstToGo<
  T extends { readonly id: string; readonly outstanding: number; readonly state?: string },
>(instances: readonly T[], named: readonly string[] = []): readonly T[] {
  const rank = ({ id, state }: T): number => {
    if (named.includes(id)) return 0;
    return state === 'failed' ? 1 : 2;
  };
  return [...instances].sort((a, b) => rank(a) - rank(b) || a.outstanding - b.outstanding);
}
