import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { InstanceProcess } from '../cluster/backend.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { Documents } from '../registry/index.ts';
import { Alarm } from './alarm.ts';
import { backoffMs, healthyAfterMs } from './backoff.ts';
import { type Declared, readDeclared, useSiteOf } from './declared.ts';
import { Instance } from './instance.ts';
import { type InstanceDocument, instanceKey } from './instance-document.ts';
import { bootOf, type PlacingContext, placeInstances } from './place-instances.ts';
import type { Workload } from './workload.ts';

export interface ReconcilerContext extends PlacingContext {
  readonly documents: Documents;
  readonly policies: Pick<PolicyHost, 'forget'>;
  readonly orphanTimeoutMs: number;
  readonly log: (line: string) => void;
  /** Something that others can see has changed. */
  readonly onChange: (tenant: string, blockId: string) => void;
  /** Capacity was given back: blocks that wait for some should try again. */
  readonly onCapacity: () => void;
}

const stopGraceMs = 5000;
const failedGraceMs = 2000;
const drainMs = 10_000;
/** A block that waits for capacity asks again at this interval, and this soon after capacity changed. */
const pendingRetryMs = 5000;
const capacityRetryMs = 250;
const faultRetryMs = 1000;

/**
 * Makes what runs of one block equal to what its document says. One pass at a time; each reads the documents anew, so a
 * pass may be asked for at any time, as often as anyone likes.
 */
export class BlockReconciler {
  readonly tenant: string;
  readonly blockId: string;
  readonly #context: ReconcilerContext;
  readonly #instances = new Map<string, Instance>();
  #declared: Declared | undefined;
  #pendingReason: string | undefined;
  #lastFailure: string | undefined;
  #decisionId: string | undefined;
  #lastRefusal: string | undefined;
  /** Restart counts of places that failed and are to be filled again. */
  readonly #vacated: number[] = [];
  #failures = 0;
  #reason: Decision['reason'];
  #notBefore = 0;
  #triedAt = Number.NEGATIVE_INFINITY;
  #placing = false;
  readonly #alarm = new Alarm(() => this.wake());
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #gone = false;

  constructor(
    tenant: string,
    blockId: string,
    reason: 'create' | 'restart',
    context: ReconcilerContext,
  ) {
    this.tenant = tenant;
    this.blockId = blockId;
    this.#reason = reason;
    this.#context = context;
  }

  /** The block as it was when it was last looked at. */
  get declared(): Declared | undefined {
    return this.#declared;
  }

  get instances(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  get routable(): readonly Instance[] {
    return this.instances.filter((instance) => instance.state === 'ready');
  }

  /** The block was deleted and nothing of it is left. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Why fewer instances are ready than asked for, for people. */
  get reason(): string | undefined {
    const own = this.instances.find(({ lastError }) => lastError !== undefined)?.lastError;
    return this.#pendingReason ?? own ?? this.#lastFailure;
  }

  get decisionId(): string | undefined {
    return this.#decisionId;
  }

  /** Asks for a pass. */
  wake(): void {
    this.#again = true;
    if (this.#closed || this.#gone) return;
    // Not at once: whoever wakes may be in the middle of a pass's own step.
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  /** Capacity or policies changed: a block that waits for a place tries again soon. */
  retry(): void {
    // One that is looking for a place now may have looked before this change.
    if (this.#pendingReason === undefined && !this.#placing) return;
    this.#alarm.in(Math.max(0, this.#triedAt + capacityRetryMs - performance.now()));
  }

  /** Takes an instance of before the restart. */
  adopt(document: InstanceDocument, process: InstanceProcess): void {
    this.#track(document).reachable(process);
  }

  /** Ends every instance and forgets them; the block's document stays. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#alarm.off();
    // A stop that runs beside a start makes the start give up, so the pass under way ends soon.
    await Promise.all(this.instances.map((instance) => instance.stop(graceMs)));
    await this.#running;
    await this.#end(this.instances, graceMs);
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed && !this.#gone) {
      this.#again = false;
      try {
        await this.#pass();
      } catch (error) {
        const { message } = AiosError.from(error);
        this.#pendingReason = message;
        this.#context.log(`block '${this.blockId}': ${message}`);
        this.#alarm.in(faultRetryMs);
      }
      this.#context.onChange(this.tenant, this.blockId);
      // Lets everything else have its turn, whatever asks for passes.
      await sleep(0);
    }
    this.#running = undefined;
  }

  async #pass(): Promise<void> {
    await this.#replaceFailed();
    const { store, documents } = this.#context;
    const declared = await readDeclared(store, documents, this.tenant, this.blockId);
    this.#declared = declared ?? this.#declared;
    if (!declared || declared.leaving) {
      await this.#depart();
      return;
    }
    await this.#rememberProcesses();
    const { spec, workload } = declared;
    if (!workload) {
      this.#pendingReason = declared.problem;
      return;
    }
    await this.#removeSuperfluous(spec.minInstances, workload);
    const missing = spec.minInstances - this.#instances.size;
    if (missing <= 0) {
      this.#pendingReason = undefined;
      return;
    }
    const waitMs = this.#notBefore - performance.now();
    if (waitMs > 0) this.#alarm.in(waitMs);
    else await this.#place(missing, declared, workload);
  }

  /** Ends instances that failed, gives back what they held, and decides when to try again. */
  async #replaceFailed(): Promise<void> {
    const failed = this.instances.filter(({ state }) => state === 'failed');
    if (failed.length === 0) return;
    await this.#end(failed, failedGraceMs);
    for (const instance of failed) {
      this.#lastFailure = instance.lastError;
      this.#context.log(`block '${this.blockId}': ${instance.lastError ?? 'an instance failed'}`);
      this.#vacated.push(instance.document.restarts + 1);
    }
    const wasHealthy = failed.some(({ readyForMs }) => readyForMs >= healthyAfterMs);
    this.#failures = wasHealthy ? 1 : this.#failures + 1;
    this.#notBefore = performance.now() + backoffMs(this.#failures);
    this.#reason = 'heal';
  }

  async #depart(): Promise<void> {
    await this.#end(this.instances, stopGraceMs);
    const { store, policies, exclusive } = this.#context;
    const key = { tenant: this.tenant, id: this.blockId };
    await policies.forget(this.tenant, useSiteOf(this.blockId));
    // Alone: a second deletion, or a new block of this name, comes wholly before or wholly after.
    await exclusive(async () => {
      await store.commit([
        { ...key, kind: 'block', type: 'delete' },
        { ...key, kind: 'block-deletion', type: 'delete' },
      ]);
      this.#gone = true;
    });
  }

  /** Too many, or running what the block was before it was replaced: one at a time, and only while the others serve. */
  async #removeSuperfluous(wanted: number, workload: Workload): Promise<void> {
    const surplus = this.instances.length - wanted;
    if (surplus > 0) {
      const leastUsed = [...this.instances].sort((a, b) => a.outstanding - b.outstanding);
      await this.#retire(leastUsed.slice(0, surplus));
    }
    const outdated = this.instances.filter((i) => i.document.workloadHash !== workload.hash);
    const others = this.instances.filter((instance) => !outdated.includes(instance));
    const [next] = outdated;
    if (next && others.every(({ state }) => state === 'ready')) await this.#retire([next]);
  }

  /** Writes down how to find processes again, for whoever comes after this control plane. */
  async #rememberProcesses(): Promise<void> {
    for (const instance of this.instances) {
      const { process, document } = instance;
      if (!process || document.process) continue;
      const value = { ...document, process };
      await this.#context.store.commit([
        { ...instanceKey(this.tenant, document.id), type: 'put', value },
      ]);
      instance.remembered(value);
    }
  }

  async #place(count: number, declared: Declared, workload: Workload): Promise<void> {
    this.#triedAt = performance.now();
    this.#placing = true;
    const { decision, created } = await placeInstances(this.#context, {
      tenant: this.tenant,
      spec: declared.spec,
      policies: declared.policies,
      resources: declared.resources,
      present: this.instances.map(({ document }) => document),
      count,
      restarts: this.#vacated,
      reason: this.#instances.size > 0 && this.#reason !== 'heal' ? 'scale' : this.#reason,
      workloadHash: workload.hash,
      workload: workload.workload.type,
      isClosed: () => this.#closed,
    }).finally(() => {
      this.#placing = false;
    });
    if (!created) {
      this.#pendingReason = decision.message;
      this.#alarm.in(pendingRetryMs);
      // The same refusal every few seconds says nothing new.
      if (this.#lastRefusal === decision.message) return;
      await this.#context.store.commit(this.#context.decisions.record(decision));
      this.#lastRefusal = decision.message;
      this.#decisionId = decision.id;
      return;
    }
    this.#vacated.splice(0, created.length);
    this.#pendingReason = undefined;
    this.#lastRefusal = undefined;
    this.#decisionId = decision.id;
    for (const document of created) {
      // Not awaited: becoming ready may take long, and is heard of.
      void this.#track(document).begin(bootOf(document, workload, this.#context.orphanTimeoutMs));
    }
  }

  #track(document: InstanceDocument): Instance {
    const instance = new Instance({
      document,
      backend: this.#context.backendOf(this.tenant, document.clusterId),
      onChange: () => {
        this.#context.onChange(this.tenant, this.blockId);
        this.wake();
      },
    });
    this.#instances.set(document.id, instance);
    return instance;
  }

  async #retire(instances: readonly Instance[]): Promise<void> {
    await Promise.all(instances.map((instance) => instance.drain(drainMs)));
    await this.#end(instances, stopGraceMs);
  }

  /** Process first, then document, then promise: at no time does a process run that nobody accounts for. */
  async #end(instances: readonly Instance[], graceMs: number): Promise<void> {
    if (instances.length === 0) return;
    await Promise.all(instances.map((instance) => instance.stop(graceMs)));
    await this.#context.store.commit(
      instances.map(({ id }) => ({ ...instanceKey(this.tenant, id), type: 'delete' as const })),
    );
    for (const { id } of instances) {
      this.#instances.delete(id);
      this.#context.placement.ledgerOf(this.tenant).release(id);
    }
    this.#context.onCapacity();
  }
}
