import { AiosError, PolicyError, type Problem } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { oneOf } from '../../../sdk/spec/reading.ts';
import { createSlots } from './slots.ts';

/** A service that evaluates policies, named by the operator: documents know it by its id alone. */
export interface PolicyExecutor {
  readonly id: string;
  /** Base URL, http or https, without credentials. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly token?: string;
}

/** A known executor, and who waits for it. */
export interface Executor {
  readonly id: string;
  endpoint(path: string): URL;
  readonly headers: Readonly<Record<string, string>>;
  /**
   * One that failed several times in a row is left alone for a moment: who waits for it must not wait for its silence.
   *
   * @throws {PolicyError} BUSY - too many wait; POLICY_UNREACHABLE - it rests
   */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
}

export interface Executors {
  /** @throws {PolicyError} POLICY_UNREACHABLE - no such executor */
  get(id: string): Executor;
  /** What is wrong with an id at a place of a document. */
  check(id: string, path: string): readonly Problem[];
}

const limits = { atOnce: 32, waiting: 200, strikes: 5, restMs: 2000 } as const;

function baseOf({ id, url }: PolicyExecutor): URL {
  let base: URL | undefined;
  try {
    base = new URL(url.endsWith('/') ? url : `${url}/`);
  } catch {
    // Told below.
  }
  const isWeb = base?.protocol === 'http:' || base?.protocol === 'https:';
  if (!base || !isWeb || base.username !== '' || base.password !== '') {
    throw new AiosError(
      'REQUEST_INVALID',
      `policy executor '${id}' needs an http or https URL without credentials, such as http://127.0.0.1:8080. A token has its own place.`,
    );
  }
  return base;
}

function createExecutor(options: PolicyExecutor): Executor {
  const { id, token } = options;
  const base = baseOf(options);
  const inSlot = createSlots({ what: `policy executor '${id}'`, ...limits });
  let strikes = 0;
  let restsUntilMs = 0;

  async function watched<T>(task: () => Promise<T>): Promise<T> {
    if (Date.now() < restsUntilMs) {
      const message = `policy executor '${id}' failed ${strikes} times in a row and is asked again in a moment.`;
      throw new PolicyError('POLICY_UNREACHABLE', message);
    }
    try {
      const result = await task();
      strikes = 0;
      return result;
    } catch (fault) {
      const { code } = AiosError.from(fault);
      const isSilent = code === 'POLICY_UNREACHABLE' || code === 'POLICY_TIMEOUT';
      strikes = isSilent ? strikes + 1 : 0;
      if (strikes >= limits.strikes) restsUntilMs = Date.now() + limits.restMs;
      throw fault;
    }
  }

  return {
    id,
    endpoint: (path) => new URL(path, base),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    inTurn: (task) => inSlot(() => watched(task)),
  };
}

/** @throws {AiosError} REQUEST_INVALID - an id twice, or a URL that is none */
export function createExecutors(options: readonly PolicyExecutor[]): Executors {
  const known = new Map<string, Executor>();
  for (const one of options) {
    if (known.has(one.id)) {
      throw new AiosError('REQUEST_INVALID', `policy executor '${one.id}' is named twice.`);
    }
    known.set(one.id, createExecutor(one));
  }
  const flag = (id: string): string => `aios up --policy-executor ${id}=URL`;
  return {
    get(id) {
      const found = known.get(id);
      if (found) return found;
      const message = `this control plane knows no policy executor '${id}'. Start it with: ${flag(id)}`;
      throw new PolicyError('POLICY_UNREACHABLE', message);
    },
    check(id, path) {
      if (known.has(id)) return [];
      const ids = [...known.keys()];
      const close = nearest(id, ids);
      const message = `policy executor '${id}' is not known to this control plane; start it with: ${flag(id)}`;
      const expected = ids.length > 0 ? oneOf(ids) : undefined;
      return [
        {
          ...{ path, message, seen: id },
          ...(expected === undefined ? {} : { expected }),
          ...(close === undefined ? {} : { nearest: close }),
        },
      ];
    },
  };
}
