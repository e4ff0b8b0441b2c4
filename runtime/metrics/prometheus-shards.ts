import type { ShardCounters } from '../../sdk/client/api.ts';
import type { InstanceMetrics } from '../../sdk/metrics.ts';
import type { Exposition, Family } from './exposition.ts';

type Value = (shard: ShardCounters) => number | undefined;

const gauge = (name: string, help: string, value: Value): readonly [Family, Value] => [
  { name: `aios_shard_${name}`, type: 'gauge', help },
  value,
];
const counter = (name: string, help: string, value: Value): readonly [Family, Value] => [
  { name: `aios_shard_${name}_total`, type: 'counter', help },
  value,
];

/** One row a family. To a part of a graph that is no language model, a packet is a session with one step. */
const families = [
  gauge('sessions', 'Sessions that are open, each in a slot.', (one) => one.openSessions),
  gauge('session_slots', 'Slots for sessions, or places for packets.', (one) => one.maxSessions),
  gauge('queued_steps', 'Steps that wait for their turn.', (one) => one.queuedSteps),
  counter('steps', 'Steps computed, chunks of prompts included.', (one) => one.steps),
  counter('sessions_opened', 'Sessions that were opened.', (one) => one.sessionsOpened),
  counter('compute_seconds', 'Time computing; a batch counts once.', (one) => one.computeMs / 1000),
  counter('wait_seconds', 'Time that steps waited, summed.', (one) => one.waitMs / 1000),
  counter('received_bytes', 'From drivers and other shards.', (one) => one.bytesIn),
  counter('sent_bytes', 'To drivers and other shards.', (one) => one.bytesOut),
] as const;

/** Of shards of language models alone. The mean batch over any time is decode_steps_total by decode_batches_total. */
const modelFamilies = [
  gauge('kv_tokens', 'Positions held of open sessions.', (one) => one.kvTokens),
  gauge('kv_capacity_tokens', 'Positions that all slots hold.', (one) => one.kvCapacityTokens),
  gauge('batch_steps', 'Steps in the last batch.', (one) => one.lastBatchSteps),
  gauge('batch_steps_mean', 'Steps in a batch on average, since its start.', (one) =>
    one.decodeBatches === 0 ? undefined : one.decodeSteps / one.decodeBatches,
  ),
  counter('decode_steps', 'Steps of one row.', (one) => one.decodeSteps),
  counter('decode_batches', 'Batches that they were computed in.', (one) => one.decodeBatches),
  counter('prefill_tokens', 'Tokens of prompts computed.', (one) => one.prefillTokens),
  counter('shared_tokens', 'Positions copied, not computed.', (one) => one.sharedTokens),
  counter('tokens', 'Tokens sampled, by the last shard of a model.', (one) => one.tokens),
] as const;

/** What an instance that hosts a shard says of itself. Those that have ended have no series any more. */
export function addShard(out: Exposition, tenant: string, instance: InstanceMetrics): void {
  const { shard, blockId, id, nodeId } = instance;
  if (!shard) return;
  const labels = { tenant, block: blockId, instance: id, node: nodeId };
  const told = shard.kvCapacityTokens > 0 ? [...families, ...modelFamilies] : families;
  for (const [family, value] of told) out.add(family, labels, value(shard));
}
