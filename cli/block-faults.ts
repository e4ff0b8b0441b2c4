import type { BlockStatus } from '../sdk/client/api.ts';
import { AiosError } from '../sdk/errors.ts';

/** So many failures of the same kind, one after the other, are no accident. */
const enoughFailures = 3;

interface Seen {
  readonly kind: string;
  readonly firstRestarts: number;
}

/** The same fault, whichever instance it was and however long it took. */
const kindOf = (fault: string): string =>
  fault.replace(/instance '[^']*'/g, 'instance').replace(/\d+(\.\d+)? ?(ms|s|min)\b/g, '');

/** What stands in the way of blocks, and what of it is new. */
export class BlockFaults {
  readonly #seen = new Map<string, Seen>();

  /**
   * @returns undefined where nothing stands in its way
   * @throws {AiosError} INSTANCE_START_FAILED - it failed the same way three times since it was first looked at
   */
  look(block: BlockStatus): { readonly line: string; readonly isNew: boolean } | undefined {
    const { spec, state, reason, instances } = block;
    const fault = reason ?? instances.find(({ lastError }) => lastError)?.lastError;
    if (fault === undefined || fault === '') return undefined;
    const kind = kindOf(fault);
    const restarts = Math.max(0, ...instances.map((instance) => instance.restarts));
    const seen = this.#seen.get(spec.id);
    const isNew = seen?.kind !== kind;
    if (isNew) this.#seen.set(spec.id, { kind, firstRestarts: restarts });
    else if (restarts - seen.firstRestarts >= enoughFailures) {
      throw new AiosError(
        'INSTANCE_START_FAILED',
        `block '${spec.id}' failed the same way ${restarts} times: ${fault.replace(/\.?$/, '.')} Its log may say more: aios logs ${spec.id}`,
        { details: { blockId: spec.id, failures: restarts }, retryable: false },
      );
    }
    return { line: `${spec.id} is ${state}: ${fault}`, isNew };
  }
}
