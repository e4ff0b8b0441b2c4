import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import {
  decodeActivations,
  emptyFrame,
  encodeActivations,
  type FlowLink,
  type Frame,
  frameLimits,
  jsonBytes,
  type TokenPayload,
} from '../dataplane/index.ts';
import { outputHeadroomBytes, type StepRequest, type StepResult } from '../model/stage.ts';
import type { ShardSession, WaitingStep } from './shard-session.ts';

/** The next frame of the session to its driver, to be filled in. */
export function answerFrame(session: ShardSession, type: 'opened' | 'token'): Frame {
  const sequence = session.nextAnswer;
  session.nextAnswer += 1;
  return { ...emptyFrame(type), session: session.id, sequence };
}

/**
 * Sends a computed step on: activations to the next shard, in place; a token to the driver; nothing after a chunk of the
 * prompt that was not the last.
 *
 * @returns nanoseconds it waited here
 * @throws {DataPlaneError} SHARD_UNAVAILABLE, BUSY
 */
export function sendResult(
  session: ShardSession,
  hiddenSize: number,
  { frame, arrivedAtMs }: WaitingStep,
  result: StepResult,
): number {
  const computeNs = Math.round(result.computeNs);
  const tookNs = Math.round((performance.now() - arrivedAtMs) * 1e6);
  const waitNs = Math.max(0, tookNs - computeNs);
  const timings = [...frame.timings, computeNs, waitNs].slice(0, frameLimits.maxTimings);
  if (result.type === 'activations') {
    const { sequence, position, rows, sample } = frame;
    const shape = [rows, hiddenSize];
    const { buffer } = result;
    const sent = encodeActivations(session.sendsAs, buffer, outputHeadroomBytes, rows);
    const head: Omit<Frame, 'payload'> = {
      type: 'step',
      session: session.id,
      sequence,
      position,
      rows,
      dtype: sent.dtype,
      shape,
      sample,
      token: 0,
      credit: 0,
      timings,
    };
    session.next?.sendInPlace(head, buffer, sent.payloadOffset);
  } else if (result.type === 'token') {
    const { token, logprob, top = [] } = result;
    const choice = logprob === undefined ? undefined : ({ logprob, top } satisfies TokenPayload);
    session.driver?.send({
      ...answerFrame(session, 'token'),
      position: frame.position + frame.rows,
      token,
      timings,
      ...(choice ? { payload: jsonBytes(choice) } : {}),
    });
  }
  return waitNs;
}

/** @returns what a stage computes: token ids, or activations as fp32 @throws {DataPlaneError} TENSOR_MISMATCH */
export function requestOf(frame: Frame): StepRequest {
  const { session, position, rows, sample } = frame;
  const input = frame.dtype === 'int32' ? frame.payload : decodeActivations(frame);
  return { session, position, rows, input, sample };
}

/** Ends a session at a peer, if the peer is still there to be told. */
export function tell(link: FlowLink, id: string, type: 'fail' | 'close', error?: AiosError): void {
  if (!link.up) return;
  const payload = error ? { payload: jsonBytes(error.serialize()) } : {};
  link.send({ ...emptyFrame(type), session: id, ...payload });
}

/** @returns the error a FAIL frame carries, or what a driver's CLOSE means to the shards before */
export function failureOf({ type, session, payload }: Frame): AiosError {
  if (type === 'close') {
    return new DataPlaneError('CANCELLED', `session '${session}': its driver closed it.`);
  }
  try {
    return AiosError.deserialize(JSON.parse(Buffer.from(payload).toString()));
  } catch (cause) {
    return new DataPlaneError(
      'SHARD_UNAVAILABLE',
      `session '${session}': a shard failed and did not say why.`,
      { cause },
    );
  }
}

/** What the end of a stream means for a session. @param shard - that lost it */
export const lostStream = (
  { id, driver, next }: ShardSession,
  link: FlowLink,
  shard: string,
  cause: Error,
): AiosError =>
  link === driver
    ? new DataPlaneError('CANCELLED', `session '${id}': its driver went away.`, { cause })
    : new DataPlaneError(
        'SHARD_UNAVAILABLE',
        `session '${id}': ${shard} lost its stream ${link === next ? 'to' : 'from'} '${link.peerId}'. Ask again: the block is being healed.`,
        { cause, details: { instanceId: link.peerId } },
      );
