import type { GpuMeasurement } from '../../../sdk/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';

/** What is asked of `nvidia-smi`, in the order of the answer's columns. */
export const gpuColumns = [
  'index',
  'name',
  'memory.total',
  'memory.used',
  'memory.free',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
] as const;

/** A machine has at most 16; more is no answer. */
const maxDevices = 64;
/** `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `[GPU requires reset]`: the device does not say. */
const unsaid = /^(?:\[.*\]|N\/A)$/;
const plainNumber = /^-?\d+(?:\.\d+)?$/;

function fieldNumber(text: string, column: string, line: string): number | undefined {
  if (unsaid.test(text)) return undefined;
  if (!plainNumber.test(text)) {
    throw new Error(`column ${column} is '${text.slice(0, 40)}' in '${line.slice(0, 200)}'`);
  }
  return Number(text);
}

function readLine(line: string): GpuMeasurement | undefined {
  const fields = line.split(',').map((field) => field.trim());
  if (fields.length !== gpuColumns.length) {
    throw new Error(`expected ${gpuColumns.length} columns in '${line.slice(0, 200)}'`);
  }
  const [, modelName = ''] = fields;
  const [index, , total, used, free, busy, temperature, power] = fields.map((field, at) => {
    const column = gpuColumns[at] ?? '';
    return column === 'name' ? undefined : fieldNumber(field, column, line);
  });
  // Without its memory nothing can be decided by it; devices that fell off the bus look like this.
  if (index === undefined || total === undefined || used === undefined) return undefined;
  if (!Number.isInteger(index) || index < 0 || total < 0 || used < 0 || (busy ?? 0) > 100) {
    throw new Error(`values out of range in '${line.slice(0, 200)}'`);
  }
  return {
    index,
    modelName,
    totalMemoryBytes: total * mebibyte,
    usedMemoryBytes: used * mebibyte,
    freeMemoryBytes: (free ?? Math.max(0, total - used)) * mebibyte,
    ...(busy === undefined ? {} : { utilizationFraction: busy / 100 }),
    ...(temperature === undefined ? {} : { temperatureCelsius: temperature }),
    ...(power === undefined ? {} : { powerWatts: power }),
  };
}

/**
 * Reads `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`: MiB, percent, °C, W. Devices that do not say their memory
 * are left out.
 *
 * @throws {Error} a line is not of this form: then none of it is believed
 */
export function parseGpuCsv(text: string): readonly GpuMeasurement[] {
  if (text.trim() === 'No devices were found') return [];
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > maxDevices) throw new Error(`${lines.length} lines, at most ${maxDevices}`);
  const devices = lines.flatMap((line) => readLine(line) ?? []);
  if (new Set(devices.map(({ index }) => index)).size !== devices.length) {
    throw new Error('two devices have the same index');
  }
  return devices;
}
