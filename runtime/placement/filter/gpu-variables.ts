import type { GpuSnapshot } from '../../../sdk/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';
import type { NumberReader, Variable, Vocabulary } from './subject.ts';
import { numberVariable, scalarVariable } from './variable.ts';

type Read = NumberReader<GpuSnapshot>;

export const totalMebibytes: Read = (gpu) => gpu.totalMemoryBytes / mebibyte;
export const usedBytes: Read = (gpu) => gpu.totalMemoryBytes - gpu.freeMemoryBytes;
export const usedPercent: Read = (gpu) =>
  (usedBytes(gpu) / Math.max(1, gpu.totalMemoryBytes)) * 100;
export const cudaPercent: Read = (gpu) => gpu.utilizationFraction * 100;
export const temperature: Read = (gpu) => gpu.temperatureCelsius ?? Number.NaN;
export const power: Read = (gpu) => gpu.powerWatts ?? Number.NaN;

/** AIOS's metrics of one device → field and unit: MB are 2^20 bytes, utilizations percent, `powerUtilization` watts. */
export const gpuMetrics: Readonly<Record<string, Read>> = {
  gpu_id: (gpu) => gpu.index,
  totalMem: totalMebibytes,
  freeMem: (gpu) => gpu.freeMemoryBytes / mebibyte,
  usedMem: (gpu) => usedBytes(gpu) / mebibyte,
  memUtilization: usedPercent,
  cudaUtilization: cudaPercent,
  powerUtilization: power,
  temperature,
};

const table = new Map<string, Variable<GpuSnapshot>>([
  ...Object.entries(gpuMetrics).map(([name, read]) => [name, numberVariable(read)] as const),
  ['modelName', scalarVariable('text', (gpu) => gpu.modelName)],
  ['exclusive', scalarVariable('truth', (gpu) => gpu.exclusive)],
  ['sharedBy', numberVariable((gpu) => gpu.sharedBy)],
  // Our own names: bytes and fractions.
  ['index', numberVariable((gpu) => gpu.index)],
  ['totalMemoryBytes', numberVariable((gpu) => gpu.totalMemoryBytes, 'bytes')],
  ['freeMemoryBytes', numberVariable((gpu) => gpu.freeMemoryBytes, 'bytes')],
  ['utilizationFraction', numberVariable((gpu) => gpu.utilizationFraction)],
  ['temperatureCelsius', numberVariable(temperature)],
  ['powerWatts', numberVariable(power)],
]);

export const gpuVocabulary: Vocabulary<GpuSnapshot> = {
  what: 'GPUs',
  examples: 'freeMem, cudaUtilization or modelName',
  listExamples: 'nothing: a device has no lists',
  names: [...table.keys()],
  find: (name) => table.get(name.replace(/^gpus?\./, '')),
};
