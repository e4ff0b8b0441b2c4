import { AiosError } from '../../sdk/errors.ts';
import type { RoutedInstance } from '../control-plane.ts';
import type { RequestScope } from './request-scope.ts';
import type { SampledToken, ShardSession } from './shard-session.ts';

/** A session and the instances it runs in, taken together and given back together. */
export interface OpenedSession {
  readonly session: ShardSession;
  readonly shards: readonly RoutedInstance[];
  /** Ends the session and gives the instances back; safe to call twice. */
  close(ok: boolean): void;
}

/** A pause in an answer, while its memory was built anew in other instances. */
export interface Recovery {
  /** Tokens of the answer that were there. */
  readonly answeredTokens: number;
  readonly pausedMs: number;
  /** What was lost. */
  readonly reason: string;
  readonly attempts: number;
}

export interface SurvivingOptions {
  readonly scope: RequestScope;
  readonly promptTokens: readonly number[];
  readonly chunkTokens: number;
  /** Opens a session in instances that are there now. @param knownTokens - prompt and answer so far */
  readonly open: (knownTokens: readonly number[]) => Promise<OpenedSession>;
  /** How long an answer may stand still before what was lost is told. @default 60000 */
  readonly recoveryLimitMs?: number | undefined;
  readonly onRecovery?: (recovery: Recovery) => void;
}

/** One answer, whatever happens to the processes that compute it. */
export interface SurvivingSession {
  readonly shards: readonly RoutedInstance[];
  readonly recoveries: readonly Recovery[];
  /** Opens the session and sends the prompt. */
  start(): Promise<void>;
  /** The token after all before. */
  step(token: number): void;
  next(): Promise<SampledToken>;
  close(ok?: boolean): void;
}

/** Failures of a process, a stream or a place, after which other instances can still give the same answer. */
const lossCodes: ReadonlySet<string> = new Set([
  'SHARD_UNAVAILABLE',
  'SESSION_UNKNOWN',
  'INSTANCE_UNHEALTHY',
  'CONNECTION_FAILED',
  'CLOSED',
]);
/** Before each further attempt to begin: a dead instance is noticed, or a slot becomes free. */
const firstDelaysMs = [50, 500] as const;
const recoveryDelaysMs = [20, 100, 300, 1000] as const;
/** Sessions in a row that were lost before they gave a token: what kills them is the answer itself. */
const maxLosses = 5;

/** From a loss to the next token. */
interface Pause {
  readonly startedAtMs: number;
  readonly first: AiosError;
  attempts: number;
  losses: number;
}

/**
 * A session whose shards may die. What was lost is computed anew from the tokens: the prompt in the same chunks, then each
 * token of the answer as a step of its own, all on their way at once. So every number is computed in the same shapes as
 * before, and the text is the same bit for bit; one long prefill would be faster and differ in the last bits.
 */
export function createSurvivingSession(options: SurvivingOptions): SurvivingSession {
  const { scope, promptTokens, chunkTokens, recoveryLimitMs = 60_000 } = options;
  const answered: number[] = [];
  const recoveries: Recovery[] = [];
  let current: OpenedSession | undefined;
  let shards: readonly RoutedInstance[] = [];
  let lost: AiosError | undefined;
  let closed = false;

  const wait = (delayMs: number): Promise<void> =>
    scope.race(new Promise((resolve) => setTimeout(resolve, delayMs)));

  /** «Its driver went away» is what a shard says of a stream that was cut: nobody cancelled. */
  const isLoss = ({ code }: AiosError): boolean =>
    lossCodes.has(code) || (code === 'CANCELLED' && !scope.signal.aborted);

  function drop(ok: boolean): void {
    current?.close(ok);
    current = undefined;
  }

  /** Opens, and brings the memory to where the answer is. */
  async function open(): Promise<void> {
    current = await options.open([...promptTokens, ...answered]);
    if (closed) return drop(true);
    shards = current.shards;
    await current.session.prefill(promptTokens, chunkTokens, answered.length === 0);
    await current.session.replay(answered, promptTokens.length);
  }

  async function begin(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await open();
      } catch (fault) {
        drop(false);
        const error = AiosError.from(fault);
        const delayMs = firstDelaysMs[attempt];
        if (delayMs === undefined || !(isLoss(error) || error.code === 'BUSY')) throw error;
        await wait(delayMs);
      }
    }
  }

  /** Tries until a session is open again, or it has been long enough. */
  async function recover(pause: Pause, first: AiosError): Promise<void> {
    let fault = first;
    for (;;) {
      drop(false);
      if (!(isLoss(fault) || (pause.attempts > 0 && fault.code === 'BUSY'))) throw fault;
      const tooLong = performance.now() - pause.startedAtMs > recoveryLimitMs;
      if (tooLong || pause.losses > maxLosses) throw pause.first;
      const delayMs = recoveryDelaysMs[Math.min(pause.attempts, recoveryDelaysMs.length - 1)];
      pause.attempts += 1;
      await wait(delayMs ?? 0);
      try {
        return await open();
      } catch (again) {
        fault = AiosError.from(again);
      }
    }
  }

  /** It is over once a token came. */
  function note({ startedAtMs, attempts, first }: Pause): void {
    const recovery = {
      answeredTokens: answered.length,
      pausedMs: performance.now() - startedAtMs,
      reason: first.message,
      attempts,
    };
    recoveries.push(recovery);
    options.onRecovery?.(recovery);
  }

  return {
    get shards() {
      return shards;
    },
    recoveries,
    start: begin,
    step(token) {
      const position = promptTokens.length + answered.length;
      answered.push(token);
      try {
        current?.session.step(token, position);
      } catch (fault) {
        // Told by the next token, which will not come.
        lost ??= AiosError.from(fault);
      }
    },
    async next() {
      let pause: Pause | undefined;
      for (;;) {
        try {
          if (lost) throw lost;
          if (!current) throw new AiosError('CLOSED', 'this answer has ended.');
          const token = await current.session.next();
          if (pause) note(pause);
          return token;
        } catch (fault) {
          lost = undefined;
          scope.throwIfOver();
          if (closed) throw fault;
          const first = AiosError.from(fault);
          pause ??= { startedAtMs: performance.now(), first, attempts: 0, losses: 0 };
          pause.losses += 1;
          await recover(pause, first);
        }
      }
    },
    close(ok = true) {
      closed = true;
      drop(ok);
    },
  };
}
