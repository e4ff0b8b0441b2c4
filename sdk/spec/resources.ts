import { type Problem, SpecError, shorten } from '../errors.ts';
import { mebibyte, parseBytes } from '../units.ts';
import type { BlockSpec } from './block.ts';
import type { PolicyReference, ResourceAmounts } from './common.ts';

/** Amounts of one instance, or the error that placement reports. */
export type ResolvedResources =
  | { readonly resources: ResourceAmounts; readonly error?: undefined }
  | { readonly error: SpecError; readonly resources?: undefined };

/** A thousand terabytes, in MB: anything above is a typing error. */
const largestAmount = 2 ** 30;
const path = '$.policies.resourceAllocator.parameters';

const examples: Readonly<Record<string, number>> = {
  min_memory_mb: 2048,
  cpus: 1,
  gpus: 1,
  min_gpu_free_memory: 16_000,
};

/** AIOS documents write numbers as text in nearly every example. */
function toNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

/** `resource_affinity: {"minMemory": "24GB"}`, which AIOS's components carry beside their policies. */
function affinityMemoryMebibytes(metadata: Readonly<Record<string, unknown>>): number | undefined {
  const { resource_affinity: affinity } = metadata;
  const isObject = typeof affinity === 'object' && affinity !== null;
  const text = isObject && 'minMemory' in affinity ? affinity.minMemory : undefined;
  if (typeof text !== 'string' && typeof text !== 'number') return undefined;
  try {
    return parseBytes(text) / mebibyte;
  } catch {
    return undefined;
  }
}

/**
 * What one instance of a block is promised: its `resources`, or, for an AIOS document, which has no such field, the
 * parameters of its `resourceAllocator`: `min_memory_mb`, `cpus`, `gpus` with `min_gpu_free_memory` (MB each). Where its
 * component has a `resource_affinity`, its `minMemory` stands in for the memory, and one core for the processor.
 *
 * @param policies - the block's policies over its component's
 * @param metadata - the component's
 * @returns never throws: a missing amount is an AMOUNT_MISSING error that names it, not zero
 */
export function resolveResources(
  block: { readonly id: string } & Pick<BlockSpec, 'resources'>,
  policies: Readonly<Record<string, PolicyReference>>,
  metadata: Readonly<Record<string, unknown>> = {},
): ResolvedResources {
  if (block.resources) return { resources: block.resources };
  const affinityMebibytes = affinityMemoryMebibytes(metadata);
  const parameters: Readonly<Record<string, unknown>> = {
    ...(affinityMebibytes === undefined ? {} : { min_memory_mb: affinityMebibytes, cpus: 1 }),
    ...policies.resourceAllocator?.parameters,
  };
  const problems: Problem[] = [];
  const amount = (name: string, plainName: string): number => {
    const value = toNumber(parameters[name]);
    if (value >= 0 && value <= largestAmount) return value;
    const given = parameters[name] !== undefined;
    problems.push({
      path: `${path}.${name}`,
      message: `${given ? 'is no amount' : 'is missing'}; state it here or as '${plainName}'`,
      expected: `a number from 0 to ${largestAmount}`,
      ...(given ? { seen: shorten(parameters[name]) } : {}),
    });
    return 0;
  };

  const memoryMebibytes = amount('min_memory_mb', 'resources.memoryBytes');
  const cpuCores = amount('cpus', 'resources.cpuCores');
  const wantsGpus = parameters.gpus !== undefined || parameters.min_gpu_free_memory !== undefined;
  const gpuCount = wantsGpus ? amount('gpus', 'resources.gpus') : 0;
  const gpuMebibytes =
    gpuCount > 0 ? amount('min_gpu_free_memory', 'resources.gpus[].memoryBytes') : 0;
  if (gpuCount > 1024 || !Number.isInteger(gpuCount)) {
    problems.push({
      path: `${path}.gpus`,
      message: 'must be a whole number of devices',
      expected: '0 to 1024',
      seen: shorten(parameters.gpus),
    });
  }

  if (problems.length > 0) {
    const names = [...new Set(problems.map((problem) => problem.path.slice(path.length + 1)))];
    const example = JSON.stringify(Object.fromEntries(names.map((name) => [name, examples[name]])));
    return {
      error: new SpecError(
        'AMOUNT_MISSING',
        `block '${block.id}' does not say what an instance needs: ${names.join(', ')}. Add to policies.resourceAllocator.parameters of the block or its component, such as ${example} (memory in MB), or add 'resources' to the block, such as {"memoryBytes": "2Gi", "cpuCores": 1}.`,
        { problems },
      ),
    };
  }
  return {
    resources: {
      memoryBytes: Math.round(memoryMebibytes * mebibyte),
      cpuCores,
      gpus: Array.from({ length: gpuCount }, () => ({
        memoryBytes: Math.round(gpuMebibytes * mebibyte),
        exclusive: false,
      })),
    },
  };
}
