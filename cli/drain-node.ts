import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceStatus } from '../sdk/client/api.ts';
import { AiosError } from '../sdk/errors.ts';
import type { Context } from './context.ts';

const pollMs = 200;

/**
 * Cordons a node and has what runs there elsewhere: each instance's successor first, then its sessions go over, then it
 * ends. What has no other place stays.
 *
 * @returns ids of the instances that left
 * @throws {AiosError} IN_USE - with those that stay (the others have left); DEADLINE_EXCEEDED
 */
export async function drainNode(
  { client }: Pick<Context, 'client'>,
  node: { readonly clusterId: string; readonly nodeId: string },
  reason: string | undefined,
  timeoutMs: number,
): Promise<readonly string[]> {
  const { clusterId, nodeId } = node;
  const deadline = Date.now() + timeoutMs;
  await client.cordon(clusterId, nodeId, reason);
  const here = async (): Promise<readonly InstanceStatus[]> =>
    (await client.status()).blocks
      .flatMap(({ instances }) => instances)
      .filter((one) => one.clusterId === clusterId && one.nodeId === nodeId);

  const found = await here();
  const why = reason ?? `node ${nodeId} is drained`;
  const outcomes = await Promise.all(
    found.map(async ({ id }) => ({ id, moved: await client.reassign(id, why) })),
  );
  const stuck = new Set(outcomes.flatMap(({ id, moved }) => (moved ? [] : [id])));
  for (;;) {
    const left = await here();
    const staying = left.filter(({ id }) => stuck.has(id)).map(({ id }) => id);
    if (left.length === staying.length) {
      if (staying.length === 0) return found.map(({ id }) => id);
      throw new AiosError(
        'IN_USE',
        `node '${nodeId}' is cordoned, and ${staying.join(', ')} ${staying.length === 1 ? 'stays' : 'stay'} there: no other node has room. See why: aios explain block ${left.find(({ id }) => id === staying[0])?.blockId}`,
        { details: { by: staying } },
      );
    }
    if (Date.now() > deadline) {
      throw new AiosError(
        'DEADLINE_EXCEEDED',
        `node '${nodeId}' is cordoned, and ${left.map(({ id }) => id).join(', ')} still ${left.length === 1 ? 'runs' : 'run'} there. Look again: aios get instances`,
      );
    }
    await sleep(pollMs);
  }
}
