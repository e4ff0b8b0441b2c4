/** What a code means to each face of the system. Nothing else in the project encodes this. */
interface CodeMeaning {
  /** HTTP status outside and under `/v1/`. */
  readonly http: number;
  /** gRPC status number (https://grpc.io/docs/guides/status-codes/). */
  readonly grpc: number;
  /** Exit code of the command line. */
  readonly exit: number;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
}

const author = { http: 400, grpc: 3, exit: 2, retryable: false };
const missing = { http: 404, grpc: 5, exit: 3, retryable: false };
const conflict = { http: 409, grpc: 10, exit: 4, retryable: false };
const refused = { http: 409, grpc: 9, exit: 5, retryable: false };
const busy = { http: 429, grpc: 8, exit: 6, retryable: true };
const unavailable = { http: 503, grpc: 14, exit: 6, retryable: true };
const internal = { http: 500, grpc: 13, exit: 1, retryable: false };

/** Every error code there is, stable across releases. */
export const errorCodes = {
  SPEC_INVALID: author,
  URI_MALFORMED: author,
  QUANTITY_MALFORMED: author,
  REQUEST_INVALID: author,
  PROTOCOL_MISMATCH: author,
  FILTER_INVALID: author,
  CONTEXT_LENGTH_EXCEEDED: author,
  REQUEST_TOO_LARGE: { ...author, http: 413 },
  UNAUTHENTICATED: { http: 401, grpc: 16, exit: 7, retryable: false },
  FORBIDDEN: { http: 403, grpc: 7, exit: 7, retryable: false },
  ADMISSION_DENIED: { http: 403, grpc: 7, exit: 5, retryable: false },
  NOT_FOUND: missing,
  POLICY_NOT_FOUND: missing,
  URI_AMBIGUOUS: author,
  ALREADY_EXISTS: { ...conflict, grpc: 6 },
  IN_USE: refused,
  STORE_CONFLICT: { ...conflict, retryable: true },
  STORE_UNAVAILABLE: unavailable,
  STORE_LOCKED: { ...unavailable, exit: 8, retryable: false },
  STORE_CORRUPT: { ...internal, exit: 8 },
  POLICY_THREW: refused,
  POLICY_TIMEOUT: refused,
  POLICY_OUTPUT_INVALID: refused,
  POLICY_INPUT_INVALID: internal,
  POLICY_LIMIT_EXCEEDED: refused,
  POLICY_UNREACHABLE: unavailable,
  POLICY_DEFAULT_MISSING: internal,
  NO_CANDIDATE: refused,
  CAPACITY_LOST: { ...refused, retryable: true },
  AMOUNT_MISSING: author,
  SPLIT_INFEASIBLE: refused,
  SPLIT_PLAN_INVALID: author,
  SPLITTER_FAILED: refused,
  ARCHITECTURE_UNSUPPORTED: author,
  CHECKPOINT_INVALID: author,
  ARTIFACT_CORRUPT: { ...author, http: 422 },
  BUNDLE_FAILED: author,
  VDAG_CYCLE: author,
  VDAG_NODE_UNBOUND: author,
  INIT_CONTAINER_FAILED: refused,
  BLOCK_FAILED: { ...internal, http: 502 },
  INSTANCE_UNHEALTHY: unavailable,
  INSTANCE_START_FAILED: unavailable,
  SHARD_UNAVAILABLE: unavailable,
  BUSY: busy,
  FRAME_TOO_LARGE: { ...author, grpc: 11 },
  FRAME_MALFORMED: author,
  FRAME_OUT_OF_ORDER: author,
  SESSION_UNKNOWN: missing,
  SESSION_EXISTS: conflict,
  TENSOR_MISMATCH: author,
  MODEL_LOAD_FAILED: internal,
  EXECUTOR_MISSING: { ...internal, exit: 8 },
  DEADLINE_EXCEEDED: { http: 504, grpc: 4, exit: 6, retryable: true },
  CANCELLED: { http: 499, grpc: 1, exit: 130, retryable: false },
  CONNECTION_FAILED: { ...unavailable, exit: 6 },
  UNSUPPORTED: { http: 501, grpc: 12, exit: 2, retryable: false },
  CLOSED: unavailable,
  INTERNAL: internal,
} as const satisfies Record<string, CodeMeaning>;

export type ErrorCode = keyof typeof errorCodes;

/** One thing wrong with a document, a request or a file. */
export interface Problem {
  /** Where: a JSON path (`$.nodes[1].id`), or `file@offset` for binary input. */
  readonly path: string;
  /** What is wrong and what to change, one sentence. */
  readonly message: string;
  /** What was expected there. */
  readonly expected?: string;
  /** The value seen, shortened. */
  readonly seen?: string;
  /** The nearest valid key or name, when one is close. */
  readonly nearest?: string;
}

/** The form in which an error crosses the CLI, HTTP and gRPC. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly problems?: readonly Problem[];
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface ErrorOptions {
  readonly problems?: readonly Problem[];
  /** Extra facts for programs; must be JSON. Never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The underlying fault. Stays local: it is logged, never sent. */
  readonly cause?: unknown;
  /** Overrides the code's default. */
  readonly retryable?: boolean;
}

const marker = Symbol.for('aios.error');

/**
 * The one error type of the project: a stable code and a sentence that says what to change.
 *
 * @example throw new AiosError('NOT_FOUND', "block 'ocr' does not exist. List blocks with: aios get blocks")
 */
export class AiosError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly problems: readonly Problem[];
  readonly details: Readonly<Record<string, unknown>>;
  readonly [marker] = true;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? errorCodes[code].retryable;
    this.problems = options.problems ?? [];
    this.details = options.details ?? {};
  }

  /** Works across two copies of this package, where `instanceof` would not. */
  static isInstance(value: unknown): value is AiosError {
    return value instanceof Error && (value as { [marker]?: boolean })[marker] === true;
  }

  /** The one funnel for unknown faults: anything that is not ours becomes INTERNAL. */
  static from(value: unknown, code: ErrorCode = 'INTERNAL'): AiosError {
    if (AiosError.isInstance(value)) return value;
    const message = value instanceof Error ? value.message : String(value);
    return new AiosError(code, message, { cause: value });
  }

  /** Rebuilds an error that came over a wire; an unknown code becomes INTERNAL. */
  static deserialize(wire: SerializedError): AiosError {
    const code = Object.hasOwn(errorCodes, wire.code) ? wire.code : 'INTERNAL';
    return new AiosError(code, wire.message, {
      retryable: wire.retryable,
      ...(wire.problems ? { problems: wire.problems } : {}),
      ...(wire.details ? { details: wire.details } : {}),
    });
  }

  /** @returns what may leave the process: no stack, no cause. */
  serialize(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      ...(this.problems.length > 0 ? { problems: this.problems } : {}),
      ...(Object.keys(this.details).length > 0 ? { details: this.details } : {}),
    };
  }
}

/** The author must fix a document or a request. Carries every problem at once. */
export class SpecError extends AiosError {}
/** A policy failed: not found, threw, timed out, or answered in the wrong shape. */
export class PolicyError extends AiosError {}
/** No place was found, or the place was lost before it was committed. */
export class PlacementError extends AiosError {}
/** A checkpoint cannot be read, or a model cannot be split as asked. */
export class SplitError extends AiosError {}
/** A vDAG's graph is wrong or cannot be bound to blocks. */
export class VdagError extends AiosError {}
/** A block's code or its process failed. */
export class BlockError extends AiosError {}
/** A stream, a frame or a session between shards failed. */
export class DataPlaneError extends AiosError {}
/** The store refused or could not be opened. */
export class StoreError extends AiosError {}
/** A request to a control plane failed before or at its door. */
export class ClientError extends AiosError {}

/** @returns the value as JSON, at most 80 characters: for error messages. */
export function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

/** One line a problem, for people. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems
    .map(({ path, message, expected, seen, nearest }) => {
      const more = expected || seen !== undefined || nearest;
      const parts = [`${path}: ${more ? message.replace(/\.$/, '') : message}`];
      if (expected) parts.push(`expected ${expected}`);
      if (seen !== undefined) parts.push(`got ${seen}`);
      if (nearest) parts.push(`did you mean '${nearest}'?`);
      return `  ${parts.join('; ')}`;
    })
    .join('\n');
}
