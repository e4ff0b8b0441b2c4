import { z } from 'zod';
import { DataPlaneError } from '../../sdk/errors.ts';
import { samplingParameters } from '../../sdk/sampling.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { wireDtypes } from '../../sdk/spec/wire-dtype.ts';
import { type Frame, frameLimits, type OpenPayload, readJson } from '../dataplane/index.ts';

/** Of version 00; later ones may be longer. */
const maxTraceparent = 256;
const id = z.string().min(1).max(253);
/** One problem, however many are wrong: a list is as long as a frame allows. Which tokens there are, the stage says. */
const tokens = z.custom<readonly number[]>(
  (value) => Array.isArray(value) && value.every((token) => typeof token === 'number'),
  'a list of token ids',
);
const openPayload = z.object({
  tenant: id,
  driverId: id,
  route: z
    .array(
      z.object({
        instanceId: id,
        address: z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'host:port'),
        ticket: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
        activations: z.enum(wireDtypes).optional(),
      }),
    )
    .min(1)
    .max(frameLimits.maxTimings / 2),
  deadlineMs: z.number().positive(),
  traceparent: z.string().max(maxTraceparent).optional(),
  promptTokens: tokens,
  promptCount: z.number().int().min(1).optional(),
  sampling: samplingParameters.required({ seed: true }),
  shared: z.object({ session: id, tokens: z.number().int().positive() }).optional(),
});

/** What of a stage decides which frames it takes. */
export type StageShape = Pick<
  StageSpec,
  | 'index'
  | 'count'
  | 'hasEmbedding'
  | 'hasHead'
  | 'hiddenSize'
  | 'vocabularySize'
  | 'contextTokens'
  | 'maxSessions'
  | 'weightBytes'
>;

/**
 * Reads an OPEN frame, as the shard `instanceId`.
 *
 * @throws {DataPlaneError} FRAME_TOO_LARGE, FRAME_MALFORMED with every problem, CONTEXT_LENGTH_EXCEEDED, TENSOR_MISMATCH - a token
 * outside the vocabulary
 */
export function parseOpen(frame: Frame, stage: StageShape, instanceId: string): OpenPayload {
  const { session, payload } = frame;
  if (payload.byteLength > frameLimits.maxJsonBytes) {
    throw new DataPlaneError(
      'FRAME_TOO_LARGE',
      `session '${session}': OPEN holds ${payload.byteLength} bytes of JSON; at most ${frameLimits.maxJsonBytes}.`,
    );
  }
  const read = openPayload.safeParse(readJson(payload));
  if (!read.success) {
    const problems = read.error.issues.slice(0, 20).map(({ path, message }) => ({
      path: ['$', ...path.map(String)].join('.'),
      message,
    }));
    throw new DataPlaneError(
      'FRAME_MALFORMED',
      `session '${session}': OPEN needs a JSON payload; wrong at ${problems.map(({ path }) => path).join(', ')}.`,
      { problems },
    );
  }
  const { route, promptTokens } = read.data;
  const ends = route.length === 1;
  if (route[0]?.instanceId !== instanceId || ends !== stage.hasHead) {
    const rest = stage.hasHead ? 'no other' : 'those after it';
    throw new DataPlaneError(
      'FRAME_MALFORMED',
      `session '${session}': the route must begin with '${instanceId}' and name ${rest}; it names ${route.length} instances from '${route[0]?.instanceId}'.`,
    );
  }
  if (promptTokens.length >= stage.contextTokens) {
    throw new DataPlaneError(
      'CONTEXT_LENGTH_EXCEEDED',
      `session '${session}': a prompt of ${promptTokens.length} tokens leaves no room in a context of ${stage.contextTokens}.`,
    );
  }
  assertTokens(session, promptTokens, stage.vocabularySize);
  return read.data;
}

/** @throws {DataPlaneError} TENSOR_MISMATCH */
export function assertTokens(
  session: string,
  tokens: ArrayLike<number>,
  vocabularySize: number,
): void {
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index] ?? 0;
    if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
      throw new DataPlaneError(
        'TENSOR_MISMATCH',
        `session '${session}': token ${token} at index ${index} is outside the vocabulary of ${vocabularySize}.`,
      );
    }
  }
}
