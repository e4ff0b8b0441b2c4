import { z } from 'zod';
import { DataPlaneError } from '../../sdk/errors.ts';
import type { HelloPayload } from './frame.ts';
import { decodeFrame } from './frame-codec.ts';

const helloPayload = z.object({
  version: z.number(),
  peerId: z.string().min(1).max(253),
  credit: z.number().int().min(0).max(65_536),
  maxFrameBytes: z.number().int().positive(),
  pings: z.boolean().optional(),
});

/**
 * Reads a stream's first frame.
 *
 * @throws {DataPlaneError} FRAME_MALFORMED, UNSUPPORTED - another version; UNAUTHENTICATED - says to be somebody else than its ticket
 */
export function parseHello(message: Uint8Array, expectedPeerId: string | undefined): HelloPayload {
  const { frame } = decodeFrame(message);
  const said = frame.type === 'hello' ? helloPayload.safeParse(readJson(frame.payload)) : undefined;
  if (!said?.success) {
    throw new DataPlaneError(
      'FRAME_MALFORMED',
      `'${expectedPeerId ?? 'the peer'}' began its stream with a ${frame.type} frame; expected HELLO with {version, peerId, credit, maxFrameBytes}.`,
    );
  }
  const { version, peerId } = said.data;
  if (version !== 1) {
    throw new DataPlaneError(
      'UNSUPPORTED',
      `'${peerId}' speaks version ${version} of the data plane; this side speaks 1. Run the same release on both.`,
    );
  }
  if (expectedPeerId !== undefined && peerId !== expectedPeerId) {
    throw new DataPlaneError(
      'UNAUTHENTICATED',
      `'${expectedPeerId}' said HELLO as '${peerId}'; its ticket is for '${expectedPeerId}'.`,
    );
  }
  return { ...said.data, version };
}

/** @returns the parsed JSON, or undefined where it is none */
export function readJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(
      Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString(),
    );
  } catch {
    return undefined;
  }
}

/** @returns the value as the JSON payload of a frame */
export const jsonBytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
