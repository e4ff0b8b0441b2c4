import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { ClusterView } from './placement.ts';

interface Read {
  readonly spec: ClusterSpec;
  readonly healthyNodes: ReadonlySet<string>;
  readonly measured: ClusterView['measured'];
  /** Of the account: grows when something is given back. */
  readonly roomRevision: number;
  /** What the platform's own rules made of it. */
  readonly verdict: string;
}

/** What a refusal went by. While none of it changes, asking again would say the same. */
export interface Awaited {
  /** By cluster id. */
  readonly clusters: ReadonlyMap<string, Read>;
  /** The platform's rules went by what was measured: they are applied anew when that changes. */
  readonly readsMeasured: boolean;
  /** A policy refused, for reasons that only it knows: it is asked again when anything that it saw has changed. */
  readonly byPolicy: boolean;
}

const sameNodes = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a === b || (a.size === b.size && [...a].every((id) => b.has(id)));

/**
 * @param roomOf - the account's room revision now
 * @param verdictOf - what the platform's rules make of the cluster now; only asked where measured values count
 */
export function hasChanged(
  { clusters, readsMeasured, byPolicy }: Awaited,
  views: readonly ClusterView[],
  roomOf: (clusterId: string) => number,
  verdictOf: (view: ClusterView) => string,
): boolean {
  if (views.length !== clusters.size) return true;
  return views.some((view) => {
    const read = clusters.get(view.spec.id);
    if (!read || read.spec !== view.spec) return true;
    if (read.roomRevision !== roomOf(view.spec.id)) return true;
    if (!sameNodes(read.healthyNodes, view.healthyNodes)) return true;
    if (read.measured === view.measured) return false;
    return byPolicy || (readsMeasured && read.verdict !== verdictOf(view));
  });
}
