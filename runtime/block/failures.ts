import { backoffMs, healthyAfterMs } from './backoff.ts';
import type { HealOrder } from './heal-order.ts';
import type { Instance } from './instance.ts';
import type { InstanceDocument } from './instance-document.ts';
import { Replacements } from './replacements.ts';

/** What is remembered of instances of a block that failed, and when their places are filled again. */
export class Failures {
  /** Of the last one, for people. */
  message: string | undefined;
  /** Failed instances that keep their places until others have theirs elsewhere, with why. */
  readonly leaving = new Map<string, string>();
  readonly replacements = new Replacements();
  readonly #vacated: { readonly id: string; readonly restarts: number }[] = [];
  #inARow = 0;
  #notBefore = 0;

  /** Restart counts of places that are to be filled again. */
  get vacated(): readonly number[] {
    return this.#vacated.map(({ restarts }) => restarts);
  }

  /** Until places are filled again; below zero: now. */
  get waitMs(): number {
    return this.#notBefore - performance.now();
  }

  tryNow(): void {
    this.#notBefore = 0;
  }

  /** @param created - in the order of the places that they take; more of them than places are nobody's successors */
  filled(created: readonly Pick<InstanceDocument, 'id'>[]): void {
    const places = this.#vacated.splice(0, created.length);
    for (const [at, { id }] of places.entries()) this.replacements.filled(id, created[at]?.id);
  }

  /** @param order - asked with the number of failures in a row; nothing: the platform's own backoff */
  async add(
    failed: readonly Pick<Instance, 'document' | 'lastError' | 'readyForMs'>[],
    order: (inARow: number) => Promise<HealOrder | undefined> | undefined,
  ): Promise<void> {
    for (const instance of failed) {
      this.message = instance.lastError;
      this.replacements.lost(instance);
    }
    const wasHealthy = failed.some(({ readyForMs }) => readyForMs >= healthyAfterMs);
    this.#inARow = wasHealthy ? 1 : this.#inARow + 1;
    const ordered = await order(this.#inARow);
    this.#notBefore = performance.now() + (ordered?.waitMs ?? backoffMs(this.#inARow));
    this.message = ordered?.message ?? this.message;
    const { elsewhere } = ordered ?? {};
    if (elsewhere === undefined) this.vacate(failed);
    else for (const { document } of failed) this.leaving.set(document.id, elsewhere);
  }

  /** Their places are to be filled again, wherever. */
  vacate(instances: readonly Pick<Instance, 'document'>[]): void {
    for (const { document } of instances) {
      this.#vacated.push({ id: document.id, restarts: document.restarts + 1 });
    }
  }
}
