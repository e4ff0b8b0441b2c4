import { Instance, type SpanListener } from './instance.ts';
import { type InstanceDocument, instanceKey, rememberProcess } from './instance-document.ts';
import type { PlacingContext } from './place-instances.ts';

export const stopGraceMs = 5000;
export const failedGraceMs = 2000;
const drainMs = 10_000;

export interface InstanceSetOptions {
  readonly tenant: string;
  readonly context: Pick<PlacingContext, 'store' | 'placement' | 'backendOf'> & {
    /** Something was given back. */
    readonly onCapacity: () => void;
    /** Told of traced sessions that instances report. */
    readonly onSpans?: SpanListener | undefined;
  };
  /** Something about an instance has changed. */
  readonly onChange: () => void;
  readonly onEnded: (instanceId: string) => void;
}

/** The instances of one block, with their documents and promises. */
export class InstanceSet {
  readonly #options: InstanceSetOptions;
  readonly #instances = new Map<string, Instance>();

  constructor(options: InstanceSetOptions) {
    this.#options = options;
  }

  get all(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  has(id: string): boolean {
    return this.#instances.has(id);
  }

  get(id: string): Instance | undefined {
    return this.#instances.get(id);
  }

  track(document: InstanceDocument): Instance {
    const { tenant, context, onChange } = this.#options;
    const backend = context.backendOf(tenant, document.clusterId);
    const instance = new Instance({ document, backend, onChange, onSpans: context.onSpans });
    this.#instances.set(document.id, instance);
    return instance;
  }

  /** Writes down how to find processes again, for whoever comes after this control plane. */
  async remember(): Promise<void> {
    for (const instance of this.all) await rememberProcess(this.#options.context.store, instance);
  }

  /** Lets instances end what they have at hand, then ends them. */
  async retire(instances: readonly Instance[]): Promise<void> {
    await Promise.all(instances.map((instance) => instance.drain(drainMs)));
    await this.end(instances, stopGraceMs);
  }

  /** Process first, then document, then promise: at no time does a process run that nobody accounts for. */
  async end(instances: readonly Instance[], graceMs: number): Promise<void> {
    if (instances.length === 0) return;
    const { tenant, context, onEnded } = this.#options;
    await Promise.all(instances.map((instance) => instance.stop(graceMs)));
    await context.store.commit(
      instances.map(({ id }) => ({ ...instanceKey(tenant, id), type: 'delete' as const })),
    );
    for (const { id } of instances) {
      this.#instances.delete(id);
      context.placement.ledgerOf(tenant).release(id);
      onEnded(id);
    }
    context.onCapacity();
  }
}
