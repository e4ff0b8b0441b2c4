import { Worker } from 'node:worker_threads';
import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import { entryPath } from '../entry.ts';
import type {
  StageCounters,
  StageExecutor,
  StageExecutorOptions,
  StageSessionOptions,
  StepRequest,
  StepResult,
} from './stage.ts';
import type { FromStageWorker, StageWorkerData, StepEnd, ToStageWorker } from './stage-messages.ts';
import { assertStep, assertTokens } from './stage-step.ts';
import { createStageTally } from './stage-tally.ts';

interface Session {
  readonly id: string;
  readonly number: number;
  readonly tenant: string;
  readonly pending: Set<number>;
  /** Tokens it holds. */
  computedTokens: number;
  /** A step failed: what it holds cannot be trusted. */
  broken: boolean;
  /** Tokens it will hold when every step given so far is done. */
  heldTokens: number;
}

interface PendingStep {
  readonly session: Session;
  readonly rows: number;
  readonly resolve: (result: StepResult) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Loads a stage on a worker thread of its own.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED - the graph or its weights cannot be loaded, or are of another stage;
 * EXECUTOR_MISSING - no ONNX Runtime here
 */
export async function createStageExecutor(options: StageExecutorOptions): Promise<StageExecutor> {
  const executor = new WorkerStageExecutor(options);
  await executor.ready;
  return executor;
}

class WorkerStageExecutor implements StageExecutor {
  readonly ready: Promise<void>;
  emptyResidentBytes = 0;
  readonly #options: StageExecutorOptions;
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  readonly #sessions = new Map<string, Session>();
  /** Ended, and still in the worker's memory: as there, the oldest goes when its place is needed. */
  readonly #kept = new Map<number, Session>();
  readonly #pending = new Map<number, PendingStep>();
  readonly #tally = createStageTally();
  #nextSession = 0;
  #nextStepId = 0;
  /** Why nothing more is taken; absent while it works. */
  #ended?: AiosError;
  #closing?: Promise<void>;

  constructor({ onFailure, ...options }: StageExecutorOptions) {
    this.#options = { ...options, onFailure };
    this.#worker = new Worker(entryPath('runtime/model/stage-worker.js'), {
      name: 'stage',
      workerData: options satisfies StageWorkerData,
      // Flags of this process, such as a test runner's loaders, are not the worker's business.
      execArgv: [],
    });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.ready = this.#start();
  }

  get openSessions(): number {
    return this.#sessions.size;
  }

  get counters(): StageCounters {
    let kvTokens = 0;
    for (const { heldTokens } of this.#sessions.values()) kvTokens += heldTokens;
    return this.#tally.read(kvTokens);
  }

  open(session: string, options: StageSessionOptions): void {
    if (this.#ended) throw this.#ended;
    if (this.#sessions.has(session)) {
      throw new DataPlaneError('SESSION_EXISTS', `session '${session}' is already open here.`);
    }
    const { stage } = this.#options;
    if (this.#sessions.size >= stage.maxSessions) {
      throw new DataPlaneError(
        'BUSY',
        `stage ${stage.index} holds ${this.#sessions.size} sessions, the most it has cache for. ` +
          'Try again when one has ended.',
      );
    }
    const { shared, tenant = '', ...rest } = options;
    const source = shared && this.#holder(shared.session, tenant);
    if (shared && !(source && source.computedTokens >= shared.tokens)) {
      throw new DataPlaneError(
        'SESSION_UNKNOWN',
        `session '${session}' begins as '${shared.session}', which is not held here any more. Send the whole prompt.`,
      );
    }
    this.#makeRoom(source);
    const number = this.#nextSession++;
    const heldTokens = shared?.tokens ?? 0;
    this.#sessions.set(session, {
      ...{ id: session, number, tenant, pending: new Set(), broken: false },
      ...{ heldTokens, computedTokens: heldTokens },
    });
    this.#tally.shared(heldTokens);
    // A long prompt is worth its copy only where a penalty looks at it.
    const needsPrompt = stage.hasHead && options.sampling.repetitionPenalty !== 1;
    this.#post({
      type: 'open',
      session: number,
      options: { ...rest, tenant, promptTokens: needsPrompt ? options.promptTokens : [] },
      ...(shared && source ? { shared: { session: source.number, tokens: shared.tokens } } : {}),
    });
  }

  heldTokens(session: string, tenant: string): number | undefined {
    return this.#holder(session, tenant)?.computedTokens;
  }

  #holder(id: string, tenant: string): Session | undefined {
    const open = this.#sessions.get(id);
    if (open?.tenant === tenant) return open;
    for (const kept of this.#kept.values()) {
      if (kept.id === id && kept.tenant === tenant) return kept;
    }
    return undefined;
  }

  /** As the worker does at every opening. */
  #makeRoom(source: Session | undefined): void {
    if (source && this.#kept.delete(source.number)) this.#kept.set(source.number, source);
    const [oldest] = this.#kept.keys();
    const full = this.#sessions.size + this.#kept.size >= this.#options.stage.maxSessions;
    if (full && oldest !== undefined) this.#kept.delete(oldest);
  }

  step(request: StepRequest): Promise<StepResult> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      const session = this.#sessions.get(request.session);
      if (!session) {
        throw new DataPlaneError(
          'SESSION_UNKNOWN',
          `session '${request.session}' is not open here. Open it before its first step.`,
        );
      }
      const { stage } = this.#options;
      assertStep(stage, request, session.heldTokens);
      // The input is a view of a network buffer, which cannot be handed over: this is the one copy.
      const input = new Uint8Array(request.input).buffer;
      if (stage.hasEmbedding) assertTokens(stage, request.session, new Int32Array(input));
      const { position, rows, sample } = request;
      session.heldTokens += rows;
      const id = this.#nextStepId++;
      this.#pending.set(id, { session, rows, resolve, reject });
      session.pending.add(id);
      const step = { id, position, rows, sample, input };
      this.#post({ type: 'step', session: session.number, step }, [input]);
    });
  }

  closeSession(session: string): void {
    const open = this.#sessions.get(session);
    if (!open) return;
    this.#sessions.delete(session);
    const keep = open.computedTokens > 0 && !open.broken;
    if (keep) this.#kept.set(open.number, open);
    // One that runs ends first; the next session's steps come after it anyway.
    this.#post({ type: 'close-session', session: open.number, keep });
    for (const id of open.pending) {
      this.#take(id)?.reject(
        new DataPlaneError('CANCELLED', `session '${session}' was closed before this step ran.`),
      );
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<void> {
    const loaded = new Promise<void>((resolve, reject) => {
      this.#worker.on('message', (message: FromStageWorker) => {
        if (message.type === 'ready') {
          this.emptyResidentBytes = message.emptyResidentBytes;
          resolve();
        } else if (message.type === 'load-failed') reject(AiosError.deserialize(message.error));
        else this.#settle(message);
      });
      this.#worker.once('error', reject);
      this.#worker.once('exit', (code) => reject(new Error(`its thread ended with code ${code}`)));
    });
    const { graphPath } = this.#options;
    try {
      await loaded;
    } catch (cause) {
      await this.#exited;
      if (AiosError.isInstance(cause)) throw cause;
      const reason = AiosError.from(cause).message;
      throw new AiosError('MODEL_LOAD_FAILED', `the stage '${graphPath}' failed: ${reason}.`, {
        cause,
      });
    }
    const fail = (reason: string, cause?: unknown) =>
      this.#fail(
        new AiosError(
          'INSTANCE_UNHEALTHY',
          `the thread of stage ${this.#options.stage.index} ${reason}. Its sessions are lost; restart the instance.`,
          { cause },
        ),
      );
    this.#worker.once('error', (error: Error) => fail(`crashed: ${error.message}`, error));
    this.#worker.once('exit', (code) => fail(`ended with code ${code}`));
  }

  #take(id: number): PendingStep | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.session.pending.delete(id);
    return pending;
  }

  #settle(message: Exclude<FromStageWorker, { type: 'ready' | 'load-failed' }>): void {
    if (message.type === 'batch-end') {
      const rowsOf = ({ id }: StepEnd) => this.#pending.get(id)?.rows ?? 0;
      const rows = message.ends.reduce((sum, end) => sum + rowsOf(end), 0);
      this.#tally.batchEnded(message, rows);
    }
    for (const end of message.type === 'batch-end' ? message.ends : [message]) {
      const pending = this.#take(end.id);
      if (!pending) continue;
      if ('result' in end) {
        pending.session.computedTokens += pending.rows;
        pending.resolve(end.result);
      } else {
        pending.session.broken = true;
        pending.reject(AiosError.deserialize(end.error));
      }
    }
  }

  #fail(error: AiosError): void {
    if (this.#ended) return;
    this.#end(error);
    this.#options.onFailure?.(error);
  }

  #end(error: AiosError): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#sessions.clear();
    this.#kept.clear();
  }

  async #close(): Promise<void> {
    this.#ended ??= new AiosError('CLOSED', 'this stage is closed.');
    for (const session of [...this.#sessions.keys()]) this.closeSession(session);
    this.#post({ type: 'close' });
    await this.#exited;
    this.#end(this.#ended);
  }

  #post(message: ToStageWorker, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
