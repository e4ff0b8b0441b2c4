import { AiosError } from '../../sdk/errors.ts';
import type { RoutedInstance } from '../control-plane.ts';
import type { Replicas } from './replicas.ts';
import type { RequestScope } from './request-scope.ts';
import type { SampledToken, ShardSession } from './shard-session.ts';
import { type StallLimits, unlessStalled } from './stall-limits.ts';

/** A session and the instances it runs in, taken together and given back together. */
export interface OpenedSession {
  readonly session: ShardSession;
  readonly shards: readonly RoutedInstance[];
  /** Ends the session and gives the instances back; safe to call twice. */
  close(ok: boolean): void;
}

/** What an attempt goes by. */
export interface OpenAttempt {
  /** Instances that this session has had enough of, where there are others. */
  readonly avoid: ReadonlySet<string>;
  /** As many times longer than usual something may take before it has stalled: it grows with every stall. */
  readonly patience: number;
}

/** A pause in an answer, while its memory was built anew in other instances. */
export interface Recovery {
  /** A process, stream or place was lost; its instance is to end; or no token came for much longer than usual. */
  readonly cause: 'lost' | 'moved' | 'stalled';
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
  readonly open: (knownTokens: readonly number[], attempt: OpenAttempt) => Promise<OpenedSession>;
  readonly limits: StallLimits;
  readonly replicas: SessionReplicas;
  /** How long an answer may stand still before what was lost is told. @default 60000 */
  readonly recoveryLimitMs?: number | undefined;
  readonly onRecovery?: (recovery: Recovery) => void;
}

/** {@link Replicas}, for the tenant of one session. */
export interface SessionReplicas {
  claimStandIns(shards: readonly RoutedInstance[]): (() => void) | undefined;
  stepped: Replicas['stepped'];
  stalled(shards: readonly RoutedInstance[], what: string, waitedMs: number): AiosError | undefined;
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
/** Before each further attempt to begin: a dead instance is noticed. */
const firstDelaysMs = [50, 500] as const;
const recoveryDelaysMs = [0, 20, 100, 300, 1000] as const;
/** Sessions in a row that were lost before they gave a token: what kills them is the answer itself. */
const maxLosses = 5;

/** From a loss to the next token. */
interface Pause {
  readonly startedAtMs: number;
  readonly first: AiosError;
  attempts: number;
  losses: number;
}

/** What the next token is waited for after. */
interface Asked {
  readonly atMs: number;
  /** Sent in chunks; 0: a single step. */
  readonly promptTokens: number;
  /** Sent again, a step each. */
  readonly steps: number;
}

const causeOf = ({ details }: AiosError): Recovery['cause'] =>
  details.cause === 'moved' || details.cause === 'stalled' ? details.cause : 'lost';

/**
 * A session whose shards may die, stand still or be wanted elsewhere. What was lost is computed anew from the tokens: the
 * prompt in the same chunks, then each token of the answer as a step of its own, all on their way at once. So every number
 * is computed in the same shapes as before, and the text is the same bit for bit; one long prefill would be faster and
 * differ in the last bits.
 */
export function createSurvivingSession(options: SurvivingOptions): SurvivingSession {
  const { scope, promptTokens, chunkTokens, limits, replicas, recoveryLimitMs = 60_000 } = options;
  const answered: number[] = [];
  const recoveries: Recovery[] = [];
  const avoid = new Set<string>();
  let stalls = 0;
  let current: OpenedSession | undefined;
  let shards: readonly RoutedInstance[] = [];
  let asked: Asked = { atMs: 0, promptTokens: 0, steps: 0 };
  let lost: AiosError | undefined;
  /** Gives back the places claimed for a move, once they are taken or will not be. */
  let unclaim: (() => void) | undefined;
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

  const patience = () => 2 ** stalls;

  /** Waits for what was asked for last. */
  function inTime<T>(work: Promise<T>): Promise<T> {
    const { promptTokens: prompt, steps } = asked;
    const limitMs = prompt === 0 ? limits.stepMs : limits.beginMs(prompt, steps);
    return unlessStalled(work, limitMs * patience(), (waitedMs) =>
      replicas.stalled(shards, 'a token', waitedMs),
    );
  }

  /** Opens, and brings the memory to where the answer is. */
  async function open(): Promise<void> {
    const known = [...promptTokens, ...answered];
    try {
      current = await options.open(known, { avoid: new Set(avoid), patience: patience() });
    } finally {
      unclaim?.();
      unclaim = undefined;
    }
    if (closed) return drop(true);
    shards = current.shards;
    const { session } = current;
    asked = {
      atMs: performance.now(),
      ...{ promptTokens: promptTokens.length, steps: answered.length },
    };
    const sendAll = async () => {
      await session.prefill(promptTokens, chunkTokens, answered.length === 0);
      await session.replay(answered, promptTokens.length);
    };
    await inTime(sendAll());
  }

  /** What failed, before it is tried again. */
  function learn(error: AiosError): void {
    if (causeOf(error) !== 'stalled') return;
    stalls += 1;
    for (const id of error.details.instanceIds as readonly string[]) avoid.add(id);
  }

  async function begin(): Promise<void> {
    for (let attempt = 0; ; ) {
      try {
        return await open();
      } catch (fault) {
        drop(false);
        const error = AiosError.from(fault);
        learn(error);
        // Each is given longer than the one before.
        if (causeOf(error) === 'stalled') continue;
        const delayMs = firstDelaysMs[attempt];
        attempt += 1;
        if (delayMs === undefined || !isLoss(error)) throw error;
        await wait(delayMs);
      }
    }
  }

  /** Tries until a session is open again, or it has been long enough. */
  async function recover(pause: Pause, first: AiosError): Promise<void> {
    let fault = first;
    for (;;) {
      drop(causeOf(fault) === 'moved');
      learn(fault);
      if (!(isLoss(fault) || (pause.attempts > 0 && fault.code === 'BUSY'))) throw fault;
      const tooLong = performance.now() - pause.startedAtMs > recoveryLimitMs;
      if (tooLong || pause.losses > maxLosses) throw pause.first;
      const delayMs = recoveryDelaysMs[Math.min(pause.attempts, recoveryDelaysMs.length - 1)];
      pause.attempts += 1;
      if (delayMs) await wait(delayMs);
      try {
        return await open();
      } catch (again) {
        fault = AiosError.from(again);
      }
    }
  }

  /** A token came: a pause is over, and how long it took tells what is usual. */
  function note({ timings, cameAtMs }: SampledToken, pause: Pause | undefined): void {
    const tookMs = cameAtMs - asked.atMs;
    if (asked.promptTokens === 0) {
      limits.stepped(tookMs);
      replicas.stepped(shards, timings, tookMs);
    } else if (asked.steps === 0) {
      limits.began(tookMs, asked.promptTokens);
    }
    avoid.clear();
    if (!pause) return;
    const { startedAtMs, attempts, first } = pause;
    const recovery: Recovery = {
      cause: causeOf(first),
      answeredTokens: answered.length,
      pausedMs: performance.now() - startedAtMs,
      reason: first.message,
      attempts,
    };
    recoveries.push(recovery);
    options.onRecovery?.(recovery);
  }

  /** The instances of this session that are to end while others have room for it: claimed, they will still have it. */
  function leaving(): readonly RoutedInstance[] {
    const those = shards.filter((shard) => shard.leaving?.aborted);
    if (those.length > 0) unclaim ??= replicas.claimStandIns(those);
    return unclaim ? those : [];
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
      const those = leaving();
      if (those.length > 0) {
        const ids = those.map(({ instanceId }) => instanceId).join(', ');
        lost ??= new AiosError(
          'SHARD_UNAVAILABLE',
          `instance ${ids} is to end: the answer goes on elsewhere.`,
          { details: { cause: 'moved' } },
        );
        return;
      }
      asked = { atMs: performance.now(), promptTokens: 0, steps: 0 };
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
          const token = await inTime(current.session.next());
          note(token, pause);
          return token;
        } catch (fault) {
          lost = undefined;
          scope.throwIfOver();
          if (closed) throw fault;
          const first = AiosError.from(fault);
          // Who stood still did so since he was asked.
          const startedAtMs = causeOf(first) === 'stalled' ? asked.atMs : performance.now();
          pause ??= { startedAtMs, first, attempts: 0, losses: 0 };
          pause.losses += 1;
          await recover(pause, first);
        }
      }
    },
    close(ok = true) {
      closed = true;
      unclaim?.();
      drop(ok);
    },
  };
}
