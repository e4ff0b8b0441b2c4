import { describe, expect, it } from 'vitest';
import { resolveResources } from '../../../sdk/spec/index.ts';
import { mebibyte } from '../../../sdk/units.ts';

const allocator = (parameters: Record<string, unknown>) => ({
  resourceAllocator: { parameters, settings: {} },
});

describe('what an instance is promised', () => {
  it('is what the block says, whatever its policies say', () => {
    const resources = { memoryBytes: 7, cpuCores: 0, gpus: [] };

    expect(resolveResources({ id: 'b' as never, resources }, allocator({ cpus: 9 }))).toEqual({
      resources,
    });
  });

  it('is read from an AIOS allocator’s parameters, in MB, numbers as text included', () => {
    const parameters = { min_memory_mb: '2048', cpus: 2, gpus: 2, min_gpu_free_memory: 16000 };

    expect(resolveResources({ id: 'b' as never }, allocator(parameters)).resources).toEqual({
      memoryBytes: 2048 * mebibyte,
      cpuCores: 2,
      gpus: Array(2).fill({ memoryBytes: 16000 * mebibyte, exclusive: false }),
    });
  });

  it('has no GPU where none is spoken of', () => {
    const { resources } = resolveResources(
      { id: 'b' as never },
      allocator({ min_memory_mb: 1, cpus: 0 }),
    );

    expect(resources?.gpus).toEqual([]);
  });

  it.each([
    ['nothing', {}, ['min_memory_mb', 'cpus']],
    [
      'the published Mistral block',
      { gpus: 3, min_gpu_free_memory: 16000 },
      ['min_memory_mb', 'cpus'],
    ],
    ['GPUs without their memory', { min_memory_mb: 1, cpus: 1, gpus: 1 }, ['min_gpu_free_memory']],
    ['GPU memory without a count', { min_memory_mb: 1, cpus: 1, min_gpu_free_memory: 1 }, ['gpus']],
    ['text', { min_memory_mb: 'lots', cpus: '' }, ['min_memory_mb', 'cpus']],
    ['a negative', { min_memory_mb: -1, cpus: 1 }, ['min_memory_mb']],
    ['half a GPU', { min_memory_mb: 1, cpus: 1, gpus: 0.5, min_gpu_free_memory: 1 }, ['gpus']],
    ['too many GPUs', { min_memory_mb: 1, cpus: 1, gpus: 1e9, min_gpu_free_memory: 1 }, ['gpus']],
  ])('is missing, not zero, for %s', (_, parameters, names) => {
    const { error } = resolveResources({ id: 'b' as never }, allocator(parameters));

    expect(error?.code).toBe('AMOUNT_MISSING');
    expect(error?.problems.map(({ path }) => path)).toEqual(
      names.map((name) => `$.policies.resourceAllocator.parameters.${name}`),
    );
  });

  it('tells exactly which parameters to add, and where', () => {
    const { error } = resolveResources(
      { id: 'mistral-chat-88' as never },
      allocator({ gpus: 3, min_gpu_free_memory: 16000 }),
    );

    expect(error?.message).toContain('needs: min_memory_mb, cpus.');
    expect(error?.message).toContain('policies.resourceAllocator.parameters');
    expect(error?.message).toContain('{"min_memory_mb":2048,"cpus":1}');
  });
});
