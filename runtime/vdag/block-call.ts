import { AiosError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { InstanceDirectory } from '../control-plane.ts';
import type { InstancePool } from './instance-pool.ts';
import type { RequestScope } from './request-scope.ts';
import { jsonOf, packetValue } from './with-tensors.ts';

export interface BlockCall {
  readonly tenant: string;
  readonly directory: InstanceDirectory;
  readonly pool: InstancePool;
  readonly blockId: string;
  readonly packet: Packet;
  /** Laid over the block's own, for this packet. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly readyWaitMs: number;
  readonly deadlineMs: number;
  readonly scope: RequestScope;
  readonly onPartial?: ((data: unknown) => Promise<void>) | undefined;
}

/**
 * Sends one packet to one instance of a block. Never sent twice: the block may have acted on it.
 *
 * @returns the answer's data, with its tensors where it has some
 * @throws {AiosError} what the block threw; SHARD_UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, NOT_FOUND
 */
export async function callBlock(call: BlockCall): Promise<unknown> {
  const { directory, pool, blockId, packet, scope, onPartial } = call;
  const instance = await directory.pick({
    tenant: call.tenant,
    blockId,
    sessionId: packet.sessionId,
    waitMs: call.readyWaitMs,
    signal: scope.signal,
  });
  const pooled = pool.acquire(instance);
  let ok = true;
  try {
    const events = pooled.connection.infer(packet, {
      deadlineMs: call.deadlineMs,
      signal: scope.signal,
      parameters: call.parameters,
    });
    for await (const { final, packet: result } of events) {
      if (final) return packetValue(result);
      await onPartial?.(jsonOf(packetValue(result)));
    }
    throw new AiosError(
      'BLOCK_FAILED',
      `block '${blockId}' ended the packet without an answer. Its log may say why: aios logs ${blockId}`,
    );
  } catch (error) {
    // A caller that goes away says nothing about the block; one whose time is up does.
    ok = scope.signal.aborted && AiosError.from(scope.signal.reason).code === 'CANCELLED';
    scope.throwIfOver();
    const failure = AiosError.from(error);
    if (failure.code === 'SHARD_UNAVAILABLE') {
      directory.report(instance.instanceId, failure);
      pooled.discard();
    }
    throw failure;
  } finally {
    pooled.release();
    instance.release({ ok });
  }
}
