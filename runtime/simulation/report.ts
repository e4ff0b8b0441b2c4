/** The network at one moment; fractions of what is healthy. */
export interface Sample {
  readonly minute: number;
  readonly memoryFraction: number;
  readonly cpuFraction: number;
  readonly gpuMemoryFraction: number;
  /** Share of what is free that the largest job cannot use. */
  readonly fragmentation: number;
  readonly running: number;
  readonly waiting: number;
  /** Since the beginning. */
  readonly refused: number;
}

export interface VariantReport {
  readonly name: string;
  readonly arrivals: number;
  readonly placed: number;
  /** Went away without a place. */
  readonly refused: number;
  /** Still wait at the end. */
  readonly waiting: number;
  /** Lost their node while they ran, and came again. */
  readonly displaced: number;
  readonly samples: readonly Sample[];
  /** Averages over time. */
  readonly mean: Pick<
    Sample,
    'memoryFraction' | 'cpuFraction' | 'gpuMemoryFraction' | 'fragmentation'
  >;
  /** How long those that were placed had waited. */
  readonly waitMinutes: { readonly mean: number; readonly p95: number };
  /** By condition, most frequent first. */
  readonly refusals: readonly { readonly refusedBy: string; readonly count: number }[];
  /** Real time of one decision. */
  readonly decisionMs: { readonly median: number; readonly p95: number; readonly p99: number };
  readonly decisions: number;
  readonly decisionsPerSecond: number;
}

export interface SimulationReport {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly gpus: number;
  readonly variants: readonly VariantReport[];
}

/** @param values - sorted here */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? 0;
}

export const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
