import { Worker } from 'node:worker_threads';
import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import { entryPath } from '../entry.ts';
import type {
  StageExecutor,
  StageExecutorOptions,
  StageSessionOptions,
  StepRequest,
  StepResult,
} from './stage.ts';
import type { FromStageWorker, StageWorkerData, ToStageWorker } from './stage-messages.ts';
import { assertStep, assertTokens } from './stage-step.ts';

interface Session {
  readonly slot: number;
  readonly generation: number;
  /** Tokens it will hold when every step given so far is done. */
  heldTokens: number;
}

interface PendingStep {
  readonly session: string;
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
  readonly #generations: Int32Array;
  readonly #sessions = new Map<string, Session>();
  readonly #freeSlots: number[];
  readonly #pending = new Map<number, PendingStep>();
  #nextStepId = 0;
  /** Why nothing more is taken; absent while it works. */
  #ended?: AiosError;
  #closing?: Promise<void>;

  constructor({ onFailure, ...options }: StageExecutorOptions) {
    const { maxSessions } = options.stage;
    this.#options = { ...options, onFailure };
    this.#freeSlots = Array.from({ length: maxSessions }, (_, slot) => maxSessions - 1 - slot);
    const generations = new SharedArrayBuffer(4 * maxSessions);
    this.#generations = new Int32Array(generations);
    this.#worker = new Worker(entryPath('runtime/model/stage-worker.js'), {
      name: 'stage',
      workerData: { ...options, generations } satisfies StageWorkerData,
      // Flags of this process, such as a test runner's loaders, are not the worker's business.
      execArgv: [],
    });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.ready = this.#start();
  }

  get openSessions(): number {
    return this.#sessions.size;
  }

  open(session: string, options: StageSessionOptions): void {
    if (this.#ended) throw this.#ended;
    if (this.#sessions.has(session)) {
      throw new DataPlaneError('SESSION_EXISTS', `session '${session}' is already open here.`);
    }
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      throw new DataPlaneError(
        'BUSY',
        `stage ${this.#options.stage.index} holds ${this.#sessions.size} sessions, the most it has cache for. ` +
          'Try again when one has ended.',
      );
    }
    const generation = Atomics.add(this.#generations, slot, 1) + 1;
    this.#sessions.set(session, { slot, generation, heldTokens: 0 });
    // A long prompt is worth its copy only where a penalty looks at it.
    const needsPrompt = this.#options.stage.hasHead && options.sampling.repetitionPenalty !== 1;
    this.#post({
      type: 'open',
      slot,
      options: needsPrompt ? options : { ...options, promptTokens: [] },
    });
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
      this.#pending.set(id, { session: request.session, resolve, reject });
      const step = { slot: session.slot, position, rows, sample, input };
      this.#post({ type: 'step', id, generation: session.generation, step }, [input]);
    });
  }

  closeSession(session: string): void {
    const open = this.#sessions.get(session);
    if (!open) return;
    this.#sessions.delete(session);
    // Steps that wait are skipped, one that runs ends first: the next session's steps come after it anyway.
    Atomics.add(this.#generations, open.slot, 1);
    this.#freeSlots.push(open.slot);
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

  #settle(message: Exclude<FromStageWorker, { type: 'ready' | 'load-failed' }>): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    this.#pending.delete(message.id);
    if (message.type === 'step-end') pending.resolve(message.result);
    else if (message.type === 'step-failed') pending.reject(AiosError.deserialize(message.error));
    else {
      pending.reject(
        new DataPlaneError(
          'CANCELLED',
          `session '${pending.session}' was closed before this step ran.`,
        ),
      );
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
