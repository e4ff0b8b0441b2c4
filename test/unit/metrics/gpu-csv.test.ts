import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGpuCsv } from '../../../runtime/cluster/local/gpu-csv.ts';
import { mebibyte } from '../../../sdk/units.ts';

describe('the answer of nvidia-smi', () => {
  it('is read in our units, several devices', () => {
    const text = [
      '0, NVIDIA H100 80GB HBM3, 81559, 1234, 79786, 37, 41, 112.58',
      '1, NVIDIA H100 80GB HBM3, 81559, 0, 81020, 0, 33, 69.90',
      '',
    ].join('\n');

    expect(parseGpuCsv(text)).toEqual([
      {
        ...{ index: 0, modelName: 'NVIDIA H100 80GB HBM3', totalMemoryBytes: 81_559 * mebibyte },
        ...{ usedMemoryBytes: 1234 * mebibyte, freeMemoryBytes: 79_786 * mebibyte },
        ...{ utilizationFraction: 0.37, temperatureCelsius: 41, powerWatts: 112.58 },
      },
      expect.objectContaining({ index: 1, utilizationFraction: 0, powerWatts: 69.9 }),
    ]);
  });

  it('leaves out what a device does not say, and devices that do not say their memory', () => {
    const text = [
      '0, Tesla K80, 11441, 63, 11378, [N/A], 45, [Not Supported]',
      '1, Tesla K80, [Unknown Error], [Unknown Error], [N/A], [N/A], [N/A], [N/A]',
      '2, NVIDIA A100-SXM4-40GB MIG 1g.5gb, 4864, 10, [N/A], [N/A], N/A, [GPU requires reset]',
    ].join('\r\n');

    expect(parseGpuCsv(text)).toEqual([
      {
        ...{ index: 0, modelName: 'Tesla K80', totalMemoryBytes: 11_441 * mebibyte },
        ...{ usedMemoryBytes: 63 * mebibyte, freeMemoryBytes: 11_378 * mebibyte },
        temperatureCelsius: 45,
      },
      {
        ...{ index: 2, modelName: 'NVIDIA A100-SXM4-40GB MIG 1g.5gb' },
        ...{ totalMemoryBytes: 4864 * mebibyte, usedMemoryBytes: 10 * mebibyte },
        freeMemoryBytes: 4854 * mebibyte,
      },
    ]);
    expect(parseGpuCsv('No devices were found\n')).toEqual([]);
    expect(parseGpuCsv('')).toEqual([]);
  });

  it.each([
    ['NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.', 'columns'],
    ['0, H100, 81559, 12, 34, 37 %, 41, 112.58', "utilization.gpu is '37 %'"],
    ['0, H100, 81559 MiB, 12, 34, 37, 41, 112.58', "memory.total is '81559 MiB'"],
    ['0, H100, 81559, 12, 34, 37, 41', 'columns'],
    ['0, H100, 81559, 12, 34, 137, 41, 1', 'out of range'],
    ['0.5, H100, 81559, 12, 34, 37, 41, 1', 'out of range'],
    ['-1, H100, 81559, 12, 34, 37, 41, 1', 'out of range'],
    ['0, H, 1, 1, 0, 1, 1, 1\n0, H, 1, 1, 0, 1, 1, 1', 'same index'],
    [`${'0, H, 1, 1, 0, 1, 1, 1\n'.repeat(65)}`, '65 lines'],
    ['0, H100, 0x10, 12, 34, 37, 41, 1', 'memory.total'],
    ['0, H100, NaN, 12, 34, 37, 41, 1', 'memory.total'],
  ])('is refused where it is none: %s', (text, reason) => {
    expect(() => parseGpuCsv(text)).toThrow(reason);
  });

  it('gives numbers or refuses, whatever comes', () => {
    const field = fc.oneof(fc.string(), fc.integer().map(String), fc.constant('[N/A]'));
    const line = fc.array(field, { minLength: 6, maxLength: 9 }).map((all) => all.join(', '));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        let found: ReturnType<typeof parseGpuCsv> = [];
        try {
          found = parseGpuCsv(lines.join('\n'));
        } catch (error) {
          expect((error as Error).message.length).toBeLessThan(400);
        }
        for (const { modelName: _, ...numbers } of found) {
          expect(Object.values(numbers).every(Number.isFinite)).toBe(true);
        }
      }),
    );
  });
});
