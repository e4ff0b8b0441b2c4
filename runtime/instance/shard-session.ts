import { DataPlaneError } from '../../sdk/errors.ts';
import type { WireDtype } from '../../sdk/spec/wire-dtype.ts';
import { type FlowLink, type Frame, frameLimits, isActivationDtype } from '../dataplane/index.ts';
import type { SharedPrefix } from '../model/stage.ts';
import { assertTokens, type StageShape } from './open-payload.ts';

/** More than a STEP's fields before its payload ever take. */
const maxHeaderBytes = 4096;

/** Others wait for no longer than a chunk takes: it is bounded where its activations would be small, too. */
const maxChunkRows = 512;
const maxTimerMs = 2 ** 31 - 1;

/** A STEP that came and was not computed yet. */
export interface WaitingStep {
  readonly frame: Frame;
  readonly arrivedAtMs: number;
}

/** What a shard knows of one session. */
export interface ShardSession {
  readonly id: string;
  /** Where its frames come from: the driver, or the shard before. */
  readonly upstream: FlowLink;
  /** The driver's own stream to this instance: to the first shard and to the last. */
  readonly driver: FlowLink | undefined;
  /** The shard after; absent in the last one and until it is connected. */
  next: FlowLink | undefined;
  readonly deadline: NodeJS.Timeout;
  /** How its activations go to the shard after. */
  readonly sendsAs: WireDtype;
  /** What it began with, held here before its first step. */
  readonly shared: SharedPrefix | undefined;
  /** Its first step may leave out those before: the first shard did not send on what is held everywhere. */
  skips: boolean;
  /** Sequence of the next frame from upstream; OPEN was 0. */
  nextSequence: number;
  /** Tokens it will hold when every step that came is done. */
  nextPosition: number;
  /** Sequence of the next frame to the driver: OPENED is 0. */
  nextAnswer: number;
  readonly waiting: WaitingStep[];
  ended: boolean;
}

/** @param deadlineMs - Unix milliseconds, when `onDeadline` is called unless the timer was cleared */
export function createShardSession(
  begin: Pick<ShardSession, 'id' | 'upstream' | 'driver' | 'shared' | 'skips' | 'sendsAs'>,
  deadlineMs: number,
  onDeadline: () => void,
): ShardSession {
  const leftMs = Math.min(Math.max(0, deadlineMs - Date.now()), maxTimerMs);
  return {
    ...begin,
    next: undefined,
    deadline: setTimeout(onDeadline, leftMs),
    ...{ nextSequence: 1, nextAnswer: 0 },
    nextPosition: begin.skips ? (begin.shared?.tokens ?? 0) : 0,
    waiting: [],
    ended: false,
  };
}

/**
 * Checks a STEP against the stage and its session, and counts it.
 *
 * @throws {DataPlaneError} FRAME_OUT_OF_ORDER, TENSOR_MISMATCH, FRAME_TOO_LARGE, CONTEXT_LENGTH_EXCEEDED
 */
export function takeStep(session: ShardSession, stage: StageShape, frame: Frame): void {
  const { sequence, position, rows, dtype, shape, payload } = frame;
  const subject = `session '${session.id}': step ${sequence} at shard ${stage.index}`;
  if (session.skips && session.shared && sequence > 0) session.nextSequence = sequence;
  if (sequence !== session.nextSequence) {
    const what = sequence < session.nextSequence ? 'came twice' : 'leaves a gap';
    throw new DataPlaneError(
      'FRAME_OUT_OF_ORDER',
      `${subject} ${what}: expected sequence ${session.nextSequence}.`,
    );
  }
  if (position !== session.nextPosition) {
    throw new DataPlaneError(
      'FRAME_OUT_OF_ORDER',
      `${subject} begins at position ${position}; the session holds ${session.nextPosition} tokens, so ${session.nextPosition} is next.`,
    );
  }
  const expected = stage.hasEmbedding
    ? { dtype: 'int32', shape: [rows] }
    : { dtype: 'float32', shape: [rows, stage.hiddenSize] };
  const taken = stage.hasEmbedding ? dtype === expected.dtype : isActivationDtype(dtype);
  if (rows < 1 || !taken || shape.join() !== expected.shape.join()) {
    throw new DataPlaneError(
      'TENSOR_MISMATCH',
      `${subject}: expected ${expected.dtype} [${expected.shape.join(', ')}] with 1 row or more, got ${dtype ?? 'no tensor'} [${shape.join(', ')}].`,
    );
  }
  // Token ids are small and what they become is not: known here, before gigabytes are computed to be refused.
  const fitting = Math.floor((frameLimits.maxFrameBytes - maxHeaderBytes) / (4 * stage.hiddenSize));
  const maxRows = Math.min(Math.max(1, fitting), maxChunkRows);
  if (rows > maxRows) {
    throw new DataPlaneError(
      'FRAME_TOO_LARGE',
      `${subject} has ${rows} rows; a chunk has at most ${maxRows} here. Send fewer rows in one step.`,
      { details: { rows, maxRows } },
    );
  }
  if (position + rows > stage.contextTokens) {
    throw new DataPlaneError(
      'CONTEXT_LENGTH_EXCEEDED',
      `${subject} reaches position ${position + rows}; the context ends at ${stage.contextTokens}.`,
      { details: { positions: position + rows, contextTokens: stage.contextTokens } },
    );
  }
  if (stage.hasEmbedding) {
    const tokens = new Int32Array(payload.buffer, payload.byteOffset, rows);
    assertTokens(session.id, tokens, stage.vocabularySize);
  }
  session.skips = false;
  session.nextSequence += 1;
  session.nextPosition += rows;
}
