import type { Block, BlockContext } from '../../sdk/block.ts';
import { AiosError, BlockError } from '../../sdk/errors.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { InstanceBoot } from '../cluster/backend.ts';
import { emptyFrame, jsonBytes } from '../dataplane/index.ts';
import { createAnswerCache } from './answer-cache.ts';
import { checkProtocol } from './block-protocol.ts';
import { type AnswerPart, shareAnswer } from './shared-answer.ts';
import type { Workload } from './workload.ts';

const keptAnswers = 64;

export interface CodeHostOptions {
  readonly boot: Omit<InstanceBoot, 'workload' | 'secret'>;
  readonly workload: Extract<InstanceBoot['workload'], { type: 'code' }>;
  readonly block: Block;
  /** Resident bytes before the code was loaded. */
  readonly emptyResidentBytes: number;
  readonly log: (line: string) => void;
  /** Packets answered at once; more are refused with BUSY. @default 64 */
  readonly maxConcurrent?: number;
}

/**
 * Hosts an author's block. Nothing it throws ends the process: it is the caller's BLOCK_FAILED.
 *
 * @throws {AiosError} PROTOCOL_MISMATCH - settings or parameters break the block's schemas; BLOCK_FAILED - start() threw
 */
export async function createCodeHost(options: CodeHostOptions): Promise<Workload> {
  const { boot, workload, block, log, maxConcurrent = 64 } = options;
  const { blockId, instanceId } = boot;
  const settings = await checkProtocol(blockId, 'settings', block.settings, workload.settings);
  const parameters = await checkProtocol(
    blockId,
    'parameters',
    block.parameters,
    workload.parameters,
  );
  const ending = new AbortController();
  const own: BlockContext = {
    blockId,
    instanceId,
    initData: workload.initData,
    settings,
    parameters,
    signal: ending.signal,
    log,
  };
  const answers = createAnswerCache(keptAnswers);
  /** A way to abort each packet that is answered now. */
  const running = new Set<AbortController>();
  let idle: (() => void) | undefined;
  let refusal: BlockError | undefined;

  try {
    await block.start?.(own);
  } catch (error) {
    throw blamed(blockId, 'start()', error);
  }

  /** One packet through the author's functions: every value that came, the last marked final. */
  async function* run(packet: Packet, context: BlockContext): AsyncGenerator<AnswerPart> {
    const data = await checkProtocol(blockId, 'input', block.input, packet.data);
    const packets = await guarded('onPreprocess()', async () => {
      const whole = { ...packet, data };
      return block.onPreprocess ? block.onPreprocess(whole, context) : [whole];
    });
    // The last value is the answer, and only the end of the values tells which is the last: each waits for its successor.
    let previous: { readonly data: unknown } | undefined;
    for (const one of packets) {
      for await (const value of valuesOf(one, context)) {
        if (previous) yield { final: false, ...previous };
        previous = { data: await checkProtocol(blockId, 'output', block.output, value) };
      }
    }
    if (!previous) {
      throw new BlockError('BLOCK_FAILED', `block '${blockId}' gave no answer to the packet.`);
    }
    yield { final: true, ...previous };
  }

  async function* valuesOf(packet: Packet, context: BlockContext): AsyncGenerator<unknown> {
    const result = await guarded('onData()', async () => block.onData(packet, context));
    if (!isAsyncIterable(result)) {
      yield result;
      return;
    }
    const values = result[Symbol.asyncIterator]();
    try {
      for (;;) {
        context.signal.throwIfAborted();
        const { done, value } = await guarded('onData()', () => values.next());
        if (done) return;
        yield value;
      }
    } finally {
      // An author's clean-up may hang or throw; the caller has its answer either way.
      values.return?.().catch(() => {});
    }
  }

  async function guarded<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw blamed(blockId, what, error);
    }
  }

  function begin(packet: Packet, parametersHere: unknown) {
    if (refusal) throw refusal;
    if (running.size >= maxConcurrent) {
      throw new BlockError(
        'BUSY',
        `block '${blockId}' already answers ${running.size} packets at '${instanceId}'. Try again in a second.`,
        { details: { retryAfterMs: 1000 } },
      );
    }
    const controller = new AbortController();
    running.add(controller);
    const answer = shareAnswer((signal) => {
      signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
      return run(packet, { ...own, parameters: parametersHere, signal: controller.signal });
    });
    answers.put(packet.sessionId, packet.sequence, answer);
    void answer.done.then(() => {
      running.delete(controller);
      if (running.size === 0) idle?.();
    });
    return answer;
  }

  return {
    emptyResidentBytes: options.emptyResidentBytes,
    acceptLink(link) {
      link.onFrame(({ session }) => {
        const error = new BlockError(
          'UNSUPPORTED',
          `block '${blockId}' takes packets, not frames: it is no shard of a model.`,
        );
        link.send({ ...emptyFrame('fail'), session, payload: jsonBytes(error.serialize()) });
        link.grant();
      });
    },
    async *infer({ packet, parameters: overlay, signal }) {
      const { sessionId, sequence } = packet;
      const parametersHere =
        Object.keys(overlay).length === 0
          ? parameters
          : await checkProtocol(blockId, 'parameters', block.parameters, {
              ...workload.parameters,
              ...overlay,
            });
      const answer = answers.get(sessionId, sequence) ?? begin(packet, parametersHere);
      for await (const { final, data } of answer.read(signal)) {
        yield { final, packet: { sessionId, sequence, data, createdAtMs: Date.now() } };
      }
    },
    health: async () => (await block.health?.(own)) ?? { status: 'healthy' },
    async drain() {
      refusal = new BlockError(
        'SHARD_UNAVAILABLE',
        `instance '${instanceId}' is ending. Ask again.`,
      );
      if (running.size === 0) return;
      await new Promise<void>((resolve) => {
        idle = resolve;
      });
    },
    async close() {
      refusal = new BlockError(
        'SHARD_UNAVAILABLE',
        `instance '${instanceId}' was stopped. Ask again.`,
      );
      ending.abort(refusal);
      for (const controller of running) controller.abort(refusal);
      try {
        await block.stop?.(own);
      } catch (error) {
        log(`stop() failed: ${AiosError.from(error).message}`);
      }
    },
  };
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;

/** An author may throw our errors on purpose; everything else is the block's failure. */
function blamed(blockId: string, what: string, error: unknown): AiosError {
  if (AiosError.isInstance(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BlockError('BLOCK_FAILED', `block '${blockId}': ${what} threw: ${message}`, {
    cause: error,
    details: { blockId },
  });
}
