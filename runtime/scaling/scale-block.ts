import type { ScaleStatus } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { Admission, AdmissionRequests } from '../admission/index.ts';
import type { BlockScale } from '../block/index.ts';
import { type Documents, notFound } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { ScaleWish } from './parts.ts';

export interface ScaleBlockParts {
  readonly store: Store;
  readonly documents: Documents;
  readonly admission: Admission;
  readonly requests: AdmissionRequests;
  /** Runs alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
}

/** @returns what is wrong with the number, for people */
function fault(blockId: string, min: number, max: number, instances: unknown): string | undefined {
  const isCount = typeof instances === 'number' && Number.isSafeInteger(instances);
  if (isCount && instances >= min && instances <= max) return undefined;
  const seen = JSON.stringify(instances)?.slice(0, 40) ?? 'nothing';
  return `block '${blockId}' has from ${min} (minInstances) to ${max} (maxInstances) instances; ${seen} were asked for. Ask within the limits, or replace the block with other limits.`;
}

/**
 * Stores how many instances a block shall have; the reconciler makes it so.
 *
 * @throws {AiosError} NOT_FOUND; REQUEST_INVALID - outside the block's limits; ADMISSION_DENIED
 */
export function createScaleBlock(parts: ScaleBlockParts) {
  const { store, documents, admission, requests } = parts;

  async function limits(tenant: string, blockId: string) {
    const { value } = await documents.require(tenant, 'block', blockId);
    if (await store.get({ tenant, kind: 'block-deletion', id: blockId })) {
      throw notFound('block', blockId);
    }
    return value;
  }

  return async ({ tenant, blockId, by, ...wish }: ScaleWish): Promise<ScaleStatus> => {
    const { minInstances, maxInstances } = await limits(tenant, blockId);
    const refused = fault(blockId, minInstances, maxInstances, wish.instances);
    if (refused) {
      throw new AiosError('REQUEST_INVALID', refused, { details: { minInstances, maxInstances } });
    }
    const input = { blockId, instances: wish.instances };
    const answer: unknown = await admission.admit(
      requests.block(tenant, 'scale_block', blockId, input),
    );
    const { instances, blockId: named } = (answer ?? {}) as Partial<typeof input>;
    const spoiled =
      named === blockId
        ? fault(blockId, minInstances, maxInstances, instances)
        : `the pre-check's rewriting names ${JSON.stringify(named)} instead of block '${blockId}'.`;
    if (spoiled || instances === undefined) {
      throw new AiosError(
        'ADMISSION_DENIED',
        `scale_block is refused: a pre-check rewrote it. ${spoiled}`,
      );
    }
    return parts.exclusive(async () => {
      // It may have been deleted while policies were asked.
      await limits(tenant, blockId);
      const { remove, prefer = [] } = wish;
      const value: BlockScale = {
        ...{ instances, by },
        ...(remove ? { remove } : {}),
        ...(prefer.length > 0 ? { prefer } : {}),
      };
      await store.commit([{ tenant, kind: 'block-scale', id: blockId, type: 'put', value }]);
      return { blockId, instances, minInstances, maxInstances, by };
    });
  };
}
