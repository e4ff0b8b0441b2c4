import { formatDuration } from '../../sdk/units.ts';
import type { Instance } from './instance.ts';

interface Lost {
  readonly instanceId: string;
  readonly why: string;
  /** Monotonic. */
  readonly at: number;
}

/** A new instance that is ready, and what it is ready instead of. */
interface Replaced {
  readonly instanceId: string;
  readonly text: string;
}

/** Which instances are started in place of which that failed, until they are ready. */
export class Replacements {
  readonly #lost = new Map<string, Lost>();
  readonly #pending = new Map<string, Lost>();

  /** One that itself was to replace another leaves that one unreplaced, since then. */
  lost({
    document: { id },
    lastError = 'it gave no reason',
  }: Pick<Instance, 'document' | 'lastError'>) {
    const first = this.#pending.get(id);
    this.#pending.delete(id);
    this.#lost.set(id, first ?? { instanceId: id, why: lastError, at: performance.now() });
  }

  /** @param lostId - which failed @param successorId - undefined: nobody takes its place */
  filled(lostId: string, successorId: string | undefined): void {
    const lost = this.#lost.get(lostId);
    this.#lost.delete(lostId);
    if (lost && successorId !== undefined) this.#pending.set(successorId, lost);
  }

  /** Those that became ready since it was last asked. */
  ready(
    find: (id: string) => Pick<Instance, 'document' | 'state'> | undefined,
  ): readonly Replaced[] {
    return [...this.#pending].flatMap(([instanceId, { at, why, ...lost }]) => {
      const instance = find(instanceId);
      if (instance && instance.state !== 'ready') return [];
      this.#pending.delete(instanceId);
      if (!instance) return [];
      const { clusterId, nodeId } = instance.document;
      const afterMs = performance.now() - at;
      const text = `instance '${instanceId}' is ready on ${clusterId}/${nodeId} in place of '${lost.instanceId}', ${formatDuration(afterMs)} after that failed: ${why}`;
      return [{ instanceId, text }];
    });
  }
}
