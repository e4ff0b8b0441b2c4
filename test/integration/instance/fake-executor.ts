import type { StageShape } from '../../../runtime/instance/open-payload.ts';
import {
  outputHeadroomBytes,
  type StageExecutor,
  type StepRequest,
  type StepResult,
} from '../../../runtime/model/stage.ts';
import { AiosError } from '../../../sdk/errors.ts';

export const fakeStage = (index: number, count: number, maxSessions = 8): StageShape => ({
  index,
  count,
  hasEmbedding: index === 0,
  hasHead: index === count - 1,
  hiddenSize: 4,
  vocabularySize: 100,
  contextTokens: 64,
  maxSessions,
});

/** Token a chain of fake stages chooses after the given ids: each stage adds 1, the last adds up and wraps. */
export const fakeToken = (last: number, position: number, count: number): number =>
  (last * 7 + position + count - 1) % 100;

/** A stage whose steps take a turn of the event loop, or wait until the test lets them go. */
export interface FakeExecutor extends StageExecutor {
  /** Steps wait from now on; the answer lets those that came go. */
  hold(): () => void;
  /** Sessions of the steps begun, in order. */
  readonly order: readonly string[];
  failNext(error: AiosError): void;
}

/** Implements `StageExecutor` with arithmetic that tells whether order, positions and sessions were kept. */
export function createFakeExecutor(stage: StageShape): FakeExecutor {
  const held = new Map<string, number>();
  const order: string[] = [];
  let gate: Promise<void> | undefined;
  let failure: AiosError | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const compute = async ({
    session,
    position,
    rows,
    input,
    sample,
  }: StepRequest): Promise<StepResult> => {
    await gate;
    await new Promise((resolve) => setImmediate(resolve));
    if (failure) {
      const error = failure;
      failure = undefined;
      throw error;
    }
    const holds = held.get(session);
    if (holds === undefined) throw new AiosError('SESSION_UNKNOWN', `session ${session} has ended`);
    if (holds !== position) throw new AiosError('FRAME_OUT_OF_ORDER', `${session} holds ${holds}`);
    held.set(session, holds + rows);
    order.push(session);
    const values = stage.hasEmbedding
      ? Float32Array.from(new Int32Array(input.buffer, input.byteOffset, rows))
      : new Float32Array(input.buffer, input.byteOffset, rows * stage.hiddenSize);
    const width = stage.hasEmbedding ? 1 : stage.hiddenSize;
    if (!stage.hasHead) {
      const buffer = new ArrayBuffer(outputHeadroomBytes + rows * stage.hiddenSize * 4);
      const out = new Float32Array(buffer, outputHeadroomBytes);
      for (let row = 0; row < rows; row += 1) {
        out.fill(
          (values[row * width] ?? 0) * (stage.hasEmbedding ? 7 : 1) + 1,
          row * stage.hiddenSize,
          (row + 1) * stage.hiddenSize,
        );
      }
      return { type: 'activations', buffer, computeNs: 1000 };
    }
    if (!sample) return { type: 'nothing', computeNs: 1000 };
    const last = (values[(rows - 1) * width] ?? 0) * (stage.hasEmbedding ? 7 : 1);
    return { type: 'token', token: (last + position + rows - 1) % 100, computeNs: 1000 };
  };

  return {
    open(session) {
      if (held.size >= stage.maxSessions) throw new AiosError('BUSY', 'no slot is free');
      held.set(session, 0);
    },
    step(request) {
      const result = tail.then(() => compute(request));
      tail = result.catch(() => {});
      return result;
    },
    // Nothing to share: whoever asks computes it.
    heldTokens: () => undefined,
    closeSession: (session) => void held.delete(session),
    get openSessions() {
      return held.size;
    },
    counters: {
      ...{ decodeSteps: 0, decodeBatches: 0, maxBatchSteps: 0, prefillChunks: 0, prefillTokens: 0 },
      ...{
        sharedTokens: 0,
        kvMoves: 0,
        kvTokens: 0,
        lastBatchSteps: 0,
        outputCopies: 0,
        ...{ computeNs: 0, decodeNs: 0 },
      },
    },
    emptyResidentBytes: 1,
    close: async () => void (await tail),
    order,
    hold() {
      let go = () => {};
      gate = new Promise((resolve) => {
        go = resolve;
      });
      return () => {
        gate = undefined;
        go();
      };
    },
    failNext(error) {
      failure = error;
    },
  };
}
