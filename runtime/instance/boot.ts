import type { Readable } from 'node:stream';
import { z } from 'zod';
import { SpecError } from '../../sdk/errors.ts';
import { graphSpec, stageSpec } from '../../sdk/spec/component.ts';
import type { InstanceBoot } from '../cluster/backend.ts';

const maxBootBytes = 16 * 2 ** 20;
const object = z.record(z.string(), z.unknown());

const bootSchema = z.object({
  tenant: z.string().min(1),
  instanceId: z.string().min(1).max(253),
  blockId: z.string().min(1),
  clusterId: z.string().min(1),
  nodeId: z.string().min(1),
  secret: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
  orphanTimeoutMs: z.number().int().positive(),
  gpus: z.array(z.number().int().nonnegative()),
  threads: z.number().int().positive(),
  workload: z.discriminatedUnion('type', [
    z.object({ type: z.literal('stage'), stage: stageSpec }),
    z.object({ type: z.literal('graph'), graph: graphSpec }),
    z.object({
      type: z.literal('code'),
      file: z.string().regex(/^[^/\\]+$/, 'the name of a file in the instance’s folder'),
      entry: z.string().min(1),
      initData: object,
      settings: object,
      parameters: object,
    }),
  ]),
});

/**
 * Reads what this process is asked to be, until the end of the input.
 *
 * @throws {SpecError} REQUEST_TOO_LARGE, SPEC_INVALID with every problem
 */
export async function readBoot(input: Readable): Promise<InstanceBoot> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBootBytes) {
      throw new SpecError(
        'REQUEST_TOO_LARGE',
        `the boot document on standard input exceeds ${maxBootBytes} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  return parseBoot(Buffer.concat(chunks).toString());
}

/** @throws {SpecError} SPEC_INVALID with every problem */
export function parseBoot(text: string): InstanceBoot {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new SpecError(
      'SPEC_INVALID',
      'standard input does not hold a boot document: expected one JSON object, then the end. Instances are started by `aios up`.',
    );
  }
  const boot = bootSchema.safeParse(document);
  if (boot.success) return boot.data;
  const problems = boot.error.issues.map(({ path, message }) => ({
    path: ['$', ...path.map(String)].join('.'),
    message,
  }));
  throw new SpecError(
    'SPEC_INVALID',
    `the boot document is wrong at ${problems.map(({ path, message }) => `${path} (${message})`).join(', ')}.`,
    { problems },
  );
}
