import { createHash } from 'node:crypto';

const dayMs = 86_400_000;

/** What a simulated machine does beside its instances, all from 0 to 1. */
export interface SimulatedLoad {
  readonly cpuFraction: number;
  readonly memoryFraction: number;
  readonly gpuFraction: number;
}

/** Four numbers from 0 to 1 that a seed and a name always give. */
function traits(seed: number, name: string): readonly [number, number, number, number] {
  const bytes = createHash('sha256').update(`${seed}\n${name}`).digest();
  const at = (offset: number): number => bytes.readUInt32LE(offset) / 2 ** 32;
  return [at(0), at(4), at(8), at(12)];
}

/**
 * Other people's use of one machine: a day's wave with its own height and phase, and a faster ripple. Depends on seed,
 * name and time alone, so the same moment is always the same load.
 */
export function createLoadCurve(seed: number, name: string): (atMs: number) => SimulatedLoad {
  const [height, phase, ripple, share] = traits(seed, name);
  return (atMs) => {
    const day = (1 + Math.sin(2 * Math.PI * (atMs / dayMs + phase))) / 2;
    const minutes = (1 + Math.sin(2 * Math.PI * (atMs / (7 * 60_000) + ripple))) / 2;
    const cpuFraction = 0.05 + 0.5 * height * day + 0.1 * minutes;
    return {
      cpuFraction,
      memoryFraction: 0.1 + 0.3 * share,
      gpuFraction: Math.min(1, 0.8 * height * day + 0.15 * minutes),
    };
  };
}
