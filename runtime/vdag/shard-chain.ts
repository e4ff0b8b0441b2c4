import { AiosError, VdagError } from '../../sdk/errors.ts';
import type { VdagSpec } from '../../sdk/spec/vdag.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import { mintTicket, type RouteHop } from '../dataplane/index.ts';
import { linkSignals } from '../linked-signal.ts';

/** The blocks that hold the model, first shard first. */
export function shardBlocks(vdag: VdagSpec, stages: readonly string[]): readonly string[] {
  const blockOf = new Map(vdag.nodes.map((node) => [node.label, node.blockId]));
  const unbound = stages.filter((label) => blockOf.get(label) === undefined);
  if (unbound.length > 0) {
    throw new VdagError(
      'VDAG_NODE_UNBOUND',
      `vDAG '${vdag.uri}': stage ${unbound.map((label) => `'${label}'`).join(', ')} names no block. Give each stage's node a blockId.`,
      { details: { labels: unbound } },
    );
  }
  return stages.map((label) => blockOf.get(label) as string);
}

/** One instance of each block, chosen together; all are released when one is missing. */
export async function pickShards(
  directory: InstanceDirectory,
  blockIds: readonly string[],
  request: {
    readonly tenant: string;
    readonly sessionId: string;
    readonly waitMs: number;
    readonly signal: AbortSignal;
    /** Instances of a block that others are better than. @default none */
    readonly avoid?: (blockId: string) => ReadonlySet<string>;
  },
): Promise<readonly RoutedInstance[]> {
  const { avoid, ...rest } = request;
  // Where one cannot be had, nobody waits for the others.
  const missing = new AbortController();
  const { signal, release } = linkSignals(request.signal, missing.signal);
  const picked = await Promise.allSettled(
    blockIds.map(async (blockId) => {
      const one = { ...rest, signal, blockId, ...(avoid ? { avoid: avoid(blockId) } : {}) };
      return directory.pick(one).catch((error) => {
        missing.abort(error);
        throw error;
      });
    }),
  );
  release();
  const chosen = picked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refusal = picked.find((one) => one.status === 'rejected');
  if (refusal) {
    for (const instance of chosen) instance.release();
    throw AiosError.from(refusal.reason, 'SHARD_UNAVAILABLE');
  }
  return chosen;
}

/**
 * Hop i carries the ticket that hop i-1 (the driver for the first) must show it.
 *
 * @param wireDtypes - of each link between shards, in order; fp32 where it is left out
 */
export function routeOf(
  driverId: string,
  shards: readonly RoutedInstance[],
  wireDtypes: readonly WireDtype[] = [],
): readonly RouteHop[] {
  return shards.map(({ instanceId, address, secret }, index) => {
    const activations = wireDtypes[index - 1];
    return {
      instanceId,
      address,
      ticket: mintTicket(secret, shards[index - 1]?.instanceId ?? driverId),
      ...(activations === undefined ? {} : { activations }),
    };
  });
}
