import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import {
  AiosError,
  DataPlaneError,
  type ErrorCode,
  errorCodes,
  type SerializedError,
} from '../../sdk/errors.ts';

/** Trailing metadata of a failed call: the JSON of a SerializedError. */
const errorKey = 'aios-error-bin';
/** Headers are bounded by both sides; what does not fit loses its problems and details. */
const maxErrorBytes = 8 * 2 ** 10;
const maxMessageCharacters = 1024;

/** The gRPC status of an error: the code's number, the message, the whole error in the trailing metadata. */
export function toStatus(error: unknown): Pick<StatusObject, 'code' | 'details' | 'metadata'> {
  const known = AiosError.from(error);
  const message = known.message.slice(0, maxMessageCharacters);
  const { code, retryable, ...rest } = known.serialize();
  const whole = Buffer.from(JSON.stringify({ code, retryable, ...rest }));
  const metadata = new Metadata();
  metadata.set(
    errorKey,
    whole.length <= maxErrorBytes
      ? whole
      : Buffer.from(JSON.stringify({ code, retryable, message })),
  );
  return { code: errorCodes[code].grpc, details: message, metadata };
}

/**
 * What a status without our metadata means: it came from gRPC itself, not from the other side's code. CANCELLED is a
 * server that went away: who cancels a call here knows it.
 */
const foreign: Partial<Record<status, ErrorCode>> = {
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'FORBIDDEN',
  [status.RESOURCE_EXHAUSTED]: 'FRAME_TOO_LARGE',
  [status.UNIMPLEMENTED]: 'UNSUPPORTED',
};

/** Whether the other side's code ended the stream; otherwise something between the two did. */
export function isSaid(failure: Error): boolean {
  const { metadata } = failure as Partial<ServiceError>;
  return AiosError.isInstance(failure) || (metadata?.get(errorKey).length ?? 0) > 0;
}

/** The inverse of {@link toStatus}; everything gRPC itself reports about a lost stream is SHARD_UNAVAILABLE. */
export function fromStatus(failure: Error, subject: string): AiosError {
  if (AiosError.isInstance(failure)) return failure;
  const { code, details, metadata } = failure as Partial<ServiceError>;
  const [bytes] = metadata?.get(errorKey) ?? [];
  if (bytes instanceof Buffer) {
    try {
      return AiosError.deserialize(JSON.parse(bytes.toString()) as SerializedError);
    } catch {
      // Not ours after all: the status itself still says enough.
    }
  }
  const known = code === undefined ? undefined : foreign[code];
  return new DataPlaneError(
    known ?? 'SHARD_UNAVAILABLE',
    `${subject}: ${details || failure.message || 'the stream ended'}.`,
    { cause: failure },
  );
}
