import { AiosError, PolicyError, type Problem } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { oneOf } from '../../../sdk/spec/reading.ts';
import { createSlots, type Patience } from './slots.ts';
import { createStrikes } from './strikes.ts';

/** A service that evaluates policies, named by the operator: documents know it by its id alone. */
export interface PolicyExecutor {
  readonly id: string;
  /** Base URL, http or https, without credentials. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly token?: string;
}

/** Whose call it is, and how long it may wait. */
export interface Caller extends Patience {
  /** Of the policy, whatever the tenant: what one does badly is held against no other. */
  readonly policy: string;
}

/** A known executor, and who waits for it. */
export interface Executor {
  readonly id: string;
  endpoint(path: string): URL;
  readonly headers: Readonly<Record<string, string>>;
  /** @returns the text without the token, should an executor send back what it was sent */
  conceal(text: string): string;
  /**
   * A policy that failed several times in a row is not asked for a moment: who waits for it must not wait for its silence.
   *
   * @param task - is told how much of its time is left
   * @throws {PolicyError} BUSY - too many wait, or for too long; POLICY_UNREACHABLE - it rests; CANCELLED
   */
  inTurn<T>(caller: Caller, task: (leftMs: number) => Promise<T>): Promise<T>;
}

export interface Executors {
  /** @throws {PolicyError} POLICY_UNREACHABLE - no such executor */
  get(id: string): Executor;
  /** What is wrong with an id at a place of a document. */
  check(id: string, path: string): readonly Problem[];
}

const limits = { atOnce: 32, waiting: 200 } as const;

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

/** A header that cannot be sent is told of with its value: it is refused before it could be. */
function tokenOf({ id, token }: PolicyExecutor): string | undefined {
  const text = token?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new AiosError(
    'REQUEST_INVALID',
    `the token of policy executor '${id}' holds characters that no HTTP header carries; use letters, digits and punctuation.`,
  );
}

function createExecutor(options: PolicyExecutor): Executor {
  const { id } = options;
  const base = baseOf(options);
  const token = tokenOf(options);
  const inSlot = createSlots({ what: `policy executor '${id}'`, ...limits });
  const strikes = createStrikes(id);

  return {
    id,
    endpoint: (path) => new URL(path, base),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    conceal: (text) =>
      token === undefined
        ? text
        : text.replaceAll(token, '…').replaceAll(JSON.stringify(token).slice(1, -1), '…'),
    inTurn: (caller, task) =>
      inSlot(caller, (leftMs) => strikes.watch(caller.policy, () => task(leftMs))),
  };
}

/** @throws {AiosError} REQUEST_INVALID - an id twice, a URL that is none, or a token that cannot be sent */
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
