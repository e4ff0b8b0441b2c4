import { AiosError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { InstanceDirectory, RoutedInstance } from '../control-plane.ts';
import { formatTraceparent, type TraceContext } from '../tracing/index.ts';
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
  /** The span that asks. */
  readonly trace?: TraceContext | undefined;
  readonly onPartial?: ((data: unknown) => Promise<void>) | undefined;
}

/** A packet that ended so many processes in turn may well be why. */
const maxAttempts = 3;

/**
 * Sends one packet to one instance of a block. Sent again, to another, only where that does no harm: other blocks may have
 * acted on it.
 *
 * @returns the answer's data, with its tensors where it has some
 * @throws {AiosError} what the block threw; SHARD_UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, NOT_FOUND
 */
export async function callBlock(call: BlockCall): Promise<unknown> {
  const { directory, blockId, packet, scope } = call;
  const avoid = new Set<string>();
  for (;;) {
    const instance = await directory.pick({
      ...{ tenant: call.tenant, blockId, sessionId: packet.sessionId },
      ...{ waitMs: call.readyWaitMs, signal: scope.signal, avoid },
    });
    try {
      return await askInstance(call, instance);
    } catch (error) {
      avoid.add(instance.instanceId);
      const isLost = AiosError.from(error).code === 'SHARD_UNAVAILABLE';
      if (!isLost || !instance.repeatable || avoid.size >= maxAttempts) throw error;
    }
  }
}

async function askInstance(call: BlockCall, instance: RoutedInstance): Promise<unknown> {
  const { directory, pool, blockId, packet, scope, onPartial } = call;
  const pooled = pool.acquire(instance);
  let ok = true;
  try {
    const events = pooled.connection.infer(packet, {
      deadlineMs: call.deadlineMs,
      signal: scope.signal,
      parameters: call.parameters,
      traceparent: call.trace?.sampled ? formatTraceparent(call.trace) : undefined,
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
