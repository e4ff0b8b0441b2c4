import type { InstanceState } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type {
  ClusterBackend,
  InstanceEvent,
  InstanceProcess,
  InstanceStart,
} from '../cluster/backend.ts';
import { connectInstance, type InstanceConnection, mintTicket } from '../dataplane/index.ts';
import { exitReason } from './exit-reason.ts';
import type { InstanceDocument } from './instance-document.ts';
import { readSelfReport, type SelfReport } from './self-report.ts';

/** An instance reports every second; a busy machine may make it late, an author's health check up to 5 s more. */
const silenceMs = 15_000;
const unreachableMs = 5000;
const reattachMs = 200;
const unhealthyReports = 3;

export type SpanListener = (instanceId: string, spans: readonly unknown[]) => void;

export interface InstanceOptions {
  readonly document: InstanceDocument;
  readonly backend: ClusterBackend;
  /** Something that others can see has changed. */
  readonly onChange: () => void;
  /** Told of traced sessions that it reports. */
  readonly onSpans?: SpanListener | undefined;
}

/** One process, from the decision to start it until it is gone. Holds its lease and knows whether it may be used. */
export class Instance {
  #document: InstanceDocument;
  readonly #backend: ClusterBackend;
  readonly #onChange: () => void;
  readonly #onSpans: SpanListener | undefined;
  #state: InstanceState = 'starting';
  #process: InstanceProcess | undefined;
  #connection: InstanceConnection | undefined;
  #attachment: ReturnType<InstanceConnection['attach']> | undefined;
  #selfStatus: Omit<SelfReport, 'spans'> | undefined;
  #lastError: string | undefined;
  /** Monotonic times. */
  #heardAt = performance.now();
  #readyAt: number | undefined;
  #unhealthy = 0;
  /** A caller saw it fail, or the lease is being taken again: not used until it reports. */
  #suspect = false;
  #reattach: NodeJS.Timeout | undefined;
  #outstanding = 0;
  readonly #gone: Promise<void>;
  #resolveGone: () => void = () => undefined;
  readonly #leaving = new AbortController();

  constructor({ document, backend, onChange, onSpans }: InstanceOptions) {
    this.#onSpans = onSpans;
    this.#document = document;
    this.#backend = backend;
    this.#onChange = onChange;
    this.#gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
  }

  /** As it is stored. */
  get document(): InstanceDocument {
    return this.#document;
  }

  get id(): string {
    return this.document.id;
  }

  get state(): InstanceState {
    return this.#state === 'ready' && this.#suspect ? 'starting' : this.#state;
  }

  get process(): InstanceProcess | undefined {
    return this.#process;
  }

  get selfStatus(): Omit<SelfReport, 'spans'> | undefined {
    return this.#selfStatus;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Requests or sessions that picked it and have not released it. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Aborts when it is to end: whoever has a session there looks for another place. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** How long it has been ready without a break. */
  get readyForMs(): number {
    return this.#readyAt === undefined ? 0 : performance.now() - this.#readyAt;
  }

  /** Counts one more request. @returns how to end it; calling twice counts once */
  acquire(): () => void {
    this.#outstanding += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#outstanding -= 1;
    };
  }

  /** Never throws: a start that fails makes it `failed`. */
  async begin(start: InstanceStart): Promise<void> {
    try {
      await this.#backend.start(start);
    } catch (error) {
      this.fail(AiosError.from(error).message);
    }
  }

  /** The document was stored in this form. */
  remembered(document: InstanceDocument): void {
    this.#document = document;
  }

  /** Its process runs and says where it listens: now, or since before this control plane began. */
  reachable(process: InstanceProcess): void {
    if (this.#process || this.#isEnding()) return;
    this.#process = process;
    this.#heardAt = performance.now();
    if (process.simulated) this.#becomeReady();
    else this.#attach(process);
    this.#onChange();
  }

  exited(event: Extract<InstanceEvent, { type: 'instance-exited' }>): void {
    this.#resolveGone();
    this.fail(exitReason(this.id, event, Date.now() - this.#document.createdAtMs));
  }

  /** It cannot go on; whoever owns it replaces it. */
  fail(reason: string): void {
    if (this.#isEnding()) return;
    this.#lastError = reason;
    this.#state = 'failed';
    this.note(reason);
    this.#detach();
    this.#onChange();
  }

  /** Puts a line of ours among those of its log. */
  note(line: string): void {
    this.#backend.note(this.id, line);
  }

  /** A caller saw it fail: nobody else is sent there until it has reported again. */
  suspect(error: unknown): void {
    if (this.#isEnding() || this.#suspect) return;
    this.#suspect = true;
    this.#lastError = AiosError.from(error).message;
    this.#onChange();
  }

  /**
   * Called about once a second.
   *
   * @param pausedMs - how long this process itself stood still, when nothing could be heard
   */
  checkLiveness(pausedMs: number): void {
    this.#heardAt += pausedMs;
    if (!this.#process || this.#process.simulated || this.#isEnding()) return;
    const silentForMs = performance.now() - this.#heardAt;
    if (silentForMs > (this.#suspect ? unreachableMs : silenceMs)) {
      this.fail(`instance '${this.id}' has not reported for ${Math.round(silentForMs / 1000)} s`);
    }
  }

  /** Sends nobody there any more, and lets it end what it has at hand; not for longer than `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    if (!this.#attachment || this.#isEnding()) return;
    this.#state = 'stopping';
    this.#leaving.abort();
    this.#onChange();
    this.#attachment.drain();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([this.#gone, late]);
    clearTimeout(timer);
  }

  /** Ends its process and resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    if (this.#state !== 'failed') this.#state = 'stopping';
    this.#onChange();
    await this.#backend.stop(this.id, { graceMs });
    this.#detach();
  }

  #isEnding(): boolean {
    return this.#state === 'failed' || this.#state === 'stopping';
  }

  #attach(process: InstanceProcess): void {
    const peerId = `control-${this.document.clusterId}`;
    const connection = connectInstance({
      address: process.address,
      peerId,
      ticket: mintTicket(this.document.secret, peerId),
    });
    this.#connection = connection;
    this.#attachment = connection.attach({
      onReport: (status) => {
        if (this.#connection === connection) this.#reported(status);
      },
      onDown: (error) => {
        if (this.#connection === connection) this.#lostLease(process, error);
      },
    });
  }

  #lostLease(process: InstanceProcess, error: Error): void {
    this.#detach();
    if (this.#isEnding()) return;
    this.#suspect = true;
    if (performance.now() - this.#heardAt > unreachableMs) {
      this.fail(`instance '${this.id}' cannot be reached: ${error.message}`);
      return;
    }
    this.#reattach = setTimeout(() => this.#attach(process), reattachMs);
    this.#onChange();
  }

  #reported(said: unknown): void {
    this.#heardAt = performance.now();
    const { spans, ...status } = readSelfReport(said);
    this.#selfStatus = status;
    if (spans.length > 0) this.#onSpans?.(this.id, spans);
    if (this.#isEnding()) return;
    if (status.state === 'failed') {
      this.fail(status.error?.message ?? `instance '${this.id}' failed without saying why`);
      return;
    }
    this.#unhealthy = status.health?.status === 'unhealthy' ? this.#unhealthy + 1 : 0;
    if (this.#unhealthy >= unhealthyReports) {
      this.fail(
        `instance '${this.id}' is unhealthy: ${status.health?.reason ?? 'it gives no reason'}`,
      );
      return;
    }
    const before = this.state;
    this.#suspect = status.state === 'draining';
    if (status.state === 'ready' && this.#state === 'starting') this.#becomeReady();
    if (this.state !== before) this.#onChange();
  }

  #becomeReady(): void {
    this.#state = 'ready';
    this.#readyAt = performance.now();
    this.#lastError = undefined;
  }

  #detach(): void {
    clearTimeout(this.#reattach);
    this.#attachment?.close();
    this.#connection?.close();
    this.#attachment = undefined;
    this.#connection = undefined;
  }
}
