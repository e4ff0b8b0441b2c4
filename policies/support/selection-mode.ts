import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';

/** AIOS's ways to choose among the nodes that fit. */
export const selectionMode = z.enum(['greedy', 'balanced', 'lightest-load']);
export type SelectionMode = z.output<typeof selectionMode>;

/** What is looked at. A block without devices does not care how busy they are. */
type Seen = Pick<NodeSnapshot, 'capacity' | 'free' | 'measured' | 'gpus'>;

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;

function freeFraction({ capacity, free, gpus }: Seen): number {
  const memory = free.memoryBytes / Math.max(1, capacity.memoryBytes);
  if (gpus.length === 0) return memory;
  return mean(gpus.map((gpu) => gpu.freeMemoryBytes / Math.max(1, gpu.totalMemoryBytes)));
}

function load({ capacity, measured, gpus }: Seen): number {
  const cores = Math.max(capacity.cpuCores, Number.MIN_VALUE);
  const cpu = Math.min(1, (measured?.load15m ?? 0) / cores);
  return Math.max(cpu, mean(gpus.map((gpu) => gpu.utilizationFraction)));
}

/**
 * 0 to 1, higher is better. `greedy` fills the fullest node; `balanced` takes the emptiest, with the least loaded among
 * equals; `lightest-load` goes by measured load alone, and by what is promised where nothing is measured.
 */
export function rankByMode(mode: SelectionMode, node: Seen): number {
  const free = freeFraction(node);
  if (mode === 'greedy') return 1 - free;
  // Measurements lag behind promises: a burst would pile up on one node without the second term.
  return mode === 'balanced'
    ? 0.8 * free + 0.2 * (1 - load(node))
    : 0.8 * (1 - load(node)) + 0.2 * free;
}
