import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { InstanceProcess } from '../cluster/backend.ts';
import { Alarm } from './alarm.ts';
import { type Declared, readDeclared } from './declared.ts';
import { Failures } from './failures.ts';
import { forgetBlock } from './forget-block.ts';
import { endFailed, moveFailed } from './heal.ts';
import type { Instance } from './instance.ts';
import type { InstanceDocument } from './instance-document.ts';
import { InstanceSet, stopGraceMs } from './instance-set.ts';
import { type Moving, moveInstances } from './move-instances.ts';
import { Orders } from './orders.ts';
import {
  bootOf,
  type PlacingOutcome,
  type PlacingRequest,
  placeInstances,
} from './place-instances.ts';
import type { ReconcilerContext } from './reconciler-context.ts';
import { retireSuperfluous } from './superfluous.ts';
import { Waiting } from './waiting.ts';
import type { Workload } from './workload.ts';

/** A block that waits for room asks again this long after its last try, when what it went by has changed. */
const changeRetryMs = 250;
const faultRetryMs = 1000;

/**
 * Makes what runs of one block equal to what its document says. One pass at a time; each reads the documents anew, so a
 * pass may be asked for at any time, as often as anyone likes.
 */
export class BlockReconciler {
  readonly tenant: string;
  readonly blockId: string;
  readonly #context: ReconcilerContext;
  readonly #set: InstanceSet;
  #declared: Declared | undefined;
  #pendingReason: string | undefined;
  #decisionId: string | undefined;
  #lastRefusal: string | undefined;
  readonly #failures = new Failures();
  #reason: Decision['reason'];
  #triedAt = Number.NEGATIVE_INFINITY;
  #placing = false;
  readonly waiting: Waiting;
  readonly #orders = new Orders();
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
    this.waiting = new Waiting(context.placement);
    this.#set = new InstanceSet({
      ...{ context, tenant },
      onChange: () => {
        context.onChange(tenant, blockId);
        this.wake();
      },
      onEnded: (instanceId) => this.#orders.ended(instanceId),
    });
  }

  /** The block as it was when it was last looked at. */
  get declared(): Declared | undefined {
    return this.#declared;
  }

  get instances(): readonly Instance[] {
    return this.#set.all;
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
    return this.#pendingReason ?? own ?? this.#failures.message;
  }

  /** There is no room for what is missing. */
  get waits(): boolean {
    return this.#pendingReason !== undefined && !this.#placing;
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

  /** Room was given back, measured values or policies changed: a block that waits tries again if that may help it. */
  retry(cause: 'room' | 'policies'): void {
    if (cause === 'policies') this.waiting.forget();
    // One that is looking for a place now finds out at the end that it looked too early.
    if (this.#pendingReason === undefined || this.#placing || !this.waiting.isOver) return;
    this.#alarm.in(Math.max(0, this.#triedAt + changeRetryMs - performance.now()));
  }

  /** Ends an instance for another block; this one looks for a new place. @returns resolves when it is gone */
  evict(instanceId: string): Promise<void> {
    if (!this.#set.has(instanceId)) return Promise.resolve();
    const ended = this.#orders.evict(instanceId);
    this.wake();
    return ended;
  }

  /** Has an instance elsewhere: the new one first, then the old one goes. @returns false: it stays where it is */
  reassign(instanceId: string, reason: string): Promise<boolean> {
    if (this.#closed || !this.#set.has(instanceId)) return Promise.resolve(false);
    const moved = this.#orders.move(instanceId, reason);
    this.wake();
    return moved;
  }

  /** Takes an instance of before the restart. */
  adopt(document: InstanceDocument, process: InstanceProcess): void {
    this.#set.track(document).reachable(process);
  }

  /** Ends every instance and forgets them; the block's document stays. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#alarm.off();
    // A stop that runs beside a start makes the start give up, so the pass under way ends soon.
    await Promise.all(this.instances.map((instance) => instance.stop(graceMs)));
    await this.#running;
    await this.#set.end(this.instances, graceMs);
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
    await this.#makeRoom();
    await this.#replaceFailed();
    const { store, documents } = this.#context;
    const declared = await readDeclared(store, documents, this.tenant, this.blockId);
    // Whoever changes the block means it to be tried at once.
    if (declared && declared.revision !== this.#declared?.revision) this.#failures.tryNow();
    this.#declared = declared ?? this.#declared;
    if (!declared || declared.leaving) {
      await this.#depart();
      return;
    }
    await this.#set.remember();
    const { wanted, workload } = declared;
    if (!workload) {
      this.#pendingReason = declared.problem;
      return;
    }
    await retireSuperfluous(this.#set, this.#orders, this.#settled, declared, workload);
    const moving: Moving = {
      ...{ set: this.#set, orders: this.#orders, decisions: this.#context.decisions },
      find: (what) => this.#find(what, declared, workload),
      start: (outcome) => this.#start(outcome, workload),
    };
    await moveInstances(moving);
    await moveFailed({ ...moving, failures: this.#failures, alarm: this.#alarm });
    const missing = wanted - this.#settled.length;
    if (missing <= 0) {
      this.#pendingReason = undefined;
      this.waiting.forget();
      return;
    }
    const { waitMs } = this.#failures;
    if (waitMs > 0) return this.#alarm.in(waitMs);
    const asked = JSON.stringify([declared.revision, workload.hash, missing, declared.policies]);
    if (this.waiting.isAbout(asked) && !this.waiting.isOver) return;
    await this.#place(missing, asked, declared, workload);
  }

  /** Those that are to stay: without the ones that stand beside the instance whose place they are to take. */
  get #settled(): readonly Instance[] {
    const { successors } = this.#orders;
    return this.instances.filter(({ id }) => !successors.has(id));
  }

  /** Ends instances whose place a block of higher priority has. */
  async #makeRoom(): Promise<void> {
    const evicted = this.#orders.evicted.flatMap((id) => this.#set.get(id) ?? []);
    if (evicted.length === 0) return;
    this.#reason = 'preempt';
    this.#failures.message = 'its place was taken by a block of higher priority';
    await this.#set.retire(evicted);
  }

  /** Decides about instances that failed, and when their places are filled again. */
  async #replaceFailed(): Promise<void> {
    const missed = await endFailed({
      ...{ set: this.#set, orders: this.#orders, failures: this.#failures },
      ask: (failed, inARow) => this.#context.onFailure?.(this.tenant, failed, inARow),
      log: (line) => this.#context.log(`block '${this.blockId}': ${line}`),
    });
    if (missed) this.#reason = 'heal';
  }

  async #depart(): Promise<void> {
    await this.#set.end(this.instances, stopGraceMs);
    await forgetBlock(this.#context, this.tenant, this.blockId, () => {
      this.#gone = true;
    });
  }

  async #find(
    what: Pick<PlacingRequest, 'count' | 'restarts' | 'reason' | 'reassigned'>,
    { spec, policies, resources, scale }: Declared,
    { hash, workload: { type } }: Workload,
  ): Promise<PlacingOutcome> {
    this.#triedAt = performance.now();
    this.#placing = true;
    return placeInstances(this.#context, {
      ...{ ...what, tenant: this.tenant, spec, policies, resources, prefer: scale?.prefer },
      present: this.instances.map(({ document }) => document),
      ...{ workloadHash: hash, workload: type, isClosed: () => this.#closed },
    }).finally(() => {
      this.#placing = false;
    });
  }

  async #place(
    count: number,
    asked: string,
    declared: Declared,
    workload: Workload,
  ): Promise<void> {
    const refills = this.#reason === 'heal' || this.#reason === 'preempt';
    const reason = this.instances.length > 0 && !refills ? 'scale' : this.#reason;
    const what = { count, restarts: this.#failures.vacated, reason };
    const { decision, created, refusal } = await this.#find(what, declared, workload);
    if (!created) {
      this.#pendingReason = decision.message;
      if (refusal) this.waiting.refused(asked, refusal);
      else this.waiting.forget();
      // What changed while policies were asked, they may not have seen.
      if (this.waiting.isOver) this.#alarm.in(changeRetryMs);
      // The same refusal again says nothing new.
      if (this.#lastRefusal === decision.message) return;
      this.#context.decisions.record(decision);
      this.#lastRefusal = decision.message;
      this.#decisionId = decision.id;
      return;
    }
    this.#failures.filled(created);
    this.#pendingReason = undefined;
    this.waiting.forget();
    this.#lastRefusal = undefined;
    this.#start({ decision, created }, workload);
  }

  #start({ decision, created = [] }: PlacingOutcome, workload: Workload): void {
    this.#decisionId = decision.id;
    for (const document of created) {
      // Not awaited: becoming ready may take long, and is heard of.
      const boot = bootOf(document, workload, this.#context.orphanTimeoutMs);
      void this.#set.track(document).begin(boot);
    }
  }
}
