import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import {
  type FlowLink,
  type Frame,
  jsonBytes,
  type OpenPayload,
  type RouteHop,
} from '../dataplane/index.ts';
import type { StageExecutor } from '../model/stage.ts';
import { createLinkRoom } from './link-room.ts';
import { createNextHops, type NextHopsOptions } from './next-hops.ts';
import { parseOpen, type StageShape } from './open-payload.ts';
import { answerFrame, failureOf, lostStream, requestOf, sendResult, tell } from './shard-frames.ts';
import { createShardSession, type ShardSession, takeStep } from './shard-session.ts';
import { createShardSharing } from './shard-sharing.ts';
import { createShardTally } from './shard-tally.ts';
import { createTurns } from './turns.ts';
import type { Workload } from './workload.ts';

/** One step of a session computes, the next already waits on the worker: it never idles between two. */
const stepsUnderWay = 2;

export interface ShardHostOptions {
  readonly instanceId: string;
  readonly stage: StageShape;
  readonly executor: StageExecutor;
  readonly connect?: NextHopsOptions['connect'];
}

/**
 * Serves one stage to drivers and to the shards beside it: `proto/README.md` states the protocol. A session belongs to the
 * stream that opened it. However it ends, its slot is freed here at once, CLOSE goes on to the shards after, and FAIL goes
 * back to the shards before and to the driver.
 */
export function createShardHost(options: ShardHostOptions): Workload {
  const { instanceId, stage, executor } = options;
  // Not by index and count: a shard may serve models that are cut elsewhere in other numbers of parts.
  const isFirst = stage.hasEmbedding;
  const isLast = stage.hasHead;
  const shard = `shard ${stage.index + 1} of ${stage.count} ('${instanceId}')`;
  const sessions = new Map<string, ShardSession>();
  /** Newest incoming stream of each peer. */
  const peers = new Map<string, FlowLink>();
  const tally = createShardTally();
  let refusal: DataPlaneError | undefined;
  let drained: (() => void) | undefined;

  const nextHops = createNextHops({
    selfId: instanceId,
    onLink: (link) => attend(link),
    ...(options.connect ? { connect: options.connect } : {}),
  });
  const sharing = createShardSharing(executor, isFirst, (id) => sessions.has(id));
  const room = createLinkRoom();
  const outgoing = (session: ShardSession) => (isLast ? session.driver : session.next);
  const turns = createTurns<ShardSession>({
    limit: stepsUnderWay,
    canGo: (session) => {
      const link = outgoing(session);
      return link !== undefined && room.has(link, session.waiting[0]?.frame.rows ?? 1);
    },
    go: (session) => runStep(session),
    hasMore: (session) => session.waiting.length > 0,
  });

  function attend(link: FlowLink): void {
    tally.linkOpened(link);
    link.onSendable(turns.advance);
    link.onMalformed((error, id) => {
      const session = sessions.get(id);
      if (session && belongsTo(session, link)) fail(session, error);
      else tell(link, id, 'fail', error);
    });
    link.onDown((error) => {
      tally.linkDown(link);
      if (peers.get(link.peerId) === link) peers.delete(link.peerId);
      for (const session of sessions.values()) {
        if (belongsTo(session, link)) fail(session, lostStream(session, link, shard, error), link);
      }
    });
    link.onFrame((frame) => {
      try {
        receive(link, frame);
      } catch (error) {
        refuse(link, frame, AiosError.from(error));
      }
    });
  }

  const belongsTo = (session: ShardSession, link: FlowLink) =>
    session.upstream === link || session.driver === link || session.next === link;

  function receive(link: FlowLink, frame: Frame): void {
    const session = sessions.get(frame.session);
    switch (frame.type) {
      case 'open':
        openSession(link, frame);
        break;
      case 'step':
        queueStep(link, frame, session);
        // Granted when it was computed and sent on: a slow shard after this one slows down the one before.
        return;
      case 'close':
        if (session?.upstream === link) end(session, link);
        // A shard between whose own peer is cut off hears of it from here.
        else if (session?.driver === link) fail(session, failureOf(frame), link);
        break;
      case 'fail':
        if (session && belongsTo(session, link)) fail(session, failureOf(frame), link);
        break;
      default:
        throw new DataPlaneError(
          'FRAME_OUT_OF_ORDER',
          `session '${frame.session}': ${shard} takes no ${frame.type.toUpperCase()} frames.`,
        );
    }
    link.grant();
  }

  /** Answers a frame that breaks the rules; the session it names ends, if it is the sender's. */
  function refuse(link: FlowLink, frame: Frame, error: AiosError): void {
    const session = sessions.get(frame.session);
    if (session && belongsTo(session, link)) fail(session, error);
    else tell(link, frame.session, 'fail', error);
    link.grant();
  }

  function openSession(upstream: FlowLink, frame: Frame): void {
    const id = frame.session;
    if (refusal) throw refusal;
    if (id === '' || frame.sequence !== 0) {
      throw new DataPlaneError(
        'FRAME_OUT_OF_ORDER',
        `session '${id}': OPEN needs a session id and sequence 0, got sequence ${frame.sequence}.`,
      );
    }
    if (sessions.has(id)) {
      throw new DataPlaneError('SESSION_EXISTS', `session '${id}' is already open at ${shard}.`);
    }
    const asked = parseOpen(frame, stage, instanceId);
    const shared = sharing.find(asked);
    const open = { ...asked, shared };
    const driver = isFirst || isLast ? peers.get(open.driverId) : undefined;
    if (isFirst ? driver !== upstream : isLast && !driver) {
      throw new DataPlaneError(
        'SHARD_UNAVAILABLE',
        `session '${id}': driver '${open.driverId}' holds no stream to ${shard}. Open one before the session.`,
      );
    }
    if (sessions.size >= stage.maxSessions) {
      throw new DataPlaneError(
        'BUSY',
        `session '${id}': all ${stage.maxSessions} slots of ${shard} are taken. Try again in a second.`,
        { details: { retryAfterMs: 1000 } },
      );
    }
    const { tenant, promptTokens, sampling } = open;
    const [, next] = open.route;
    executor.open(id, { tenant, promptTokens, sampling, ...(shared ? { shared } : {}) });
    const session: ShardSession = createShardSession(
      { id, upstream, driver, shared, skips: !isFirst, sendsAs: next?.activations ?? 'fp32' },
      open.deadlineMs,
      () => expire(session),
    );
    sessions.set(id, session);
    sharing.opened(id, open);
    tally.sessionOpened(sessions.size, id, open.traceparent);
    if (next) void extend(session, next, open, frame);
    else session.driver?.send(answerFrame(session, 'opened'));
  }

  /** Takes the session on to the next shard. */
  async function extend(
    session: ShardSession,
    hop: RouteHop,
    open: OpenPayload,
    frame: Frame,
  ): Promise<void> {
    try {
      const next = await nextHops.link(hop);
      if (session.ended) return;
      next.send({ ...frame, payload: jsonBytes({ ...open, route: open.route.slice(1) }) });
      session.next = next;
      turns.advance();
    } catch (error) {
      fail(session, AiosError.from(error, 'SHARD_UNAVAILABLE'));
    }
  }

  function queueStep(link: FlowLink, frame: Frame, session: ShardSession | undefined): void {
    if (session?.upstream !== link) {
      throw new DataPlaneError(
        'SESSION_UNKNOWN',
        `session '${frame.session}' is not open at ${shard} for '${link.peerId}'. Send OPEN first.`,
      );
    }
    takeStep(session, stage, frame);
    if (sharing.holds(session, frame)) {
      link.grant();
      return;
    }
    session.waiting.push({ frame, arrivedAtMs: performance.now() });
    tally.stepQueued();
    turns.enter(session);
  }

  /** Never rejects: whatever fails, fails the session. */
  async function runStep(session: ShardSession): Promise<void> {
    const step = session.waiting.shift();
    const link = outgoing(session);
    if (!step || !link) return;
    const giveBack = room.take(link, step.frame.rows);
    let sent = false;
    tally.stepLeftQueue();
    try {
      const result = await executor.step(requestOf(step.frame));
      tally.stepDone(session.id, step.frame.rows, result.computeNs);
      if (session.ended) return;
      const waitNs = sendResult(session, stage.hiddenSize, step, result);
      sent = result.type !== 'nothing';
      tally.stepWaited(session.id, waitNs);
      if (result.type === 'token') tally.tokenSent();
    } catch (error) {
      fail(session, AiosError.from(error));
    } finally {
      giveBack(sent);
      session.upstream.grant();
    }
  }

  const expire = (session: ShardSession) =>
    fail(
      session,
      new DataPlaneError(
        'DEADLINE_EXCEEDED',
        `session '${session.id}': its deadline passed at ${shard}. Allow more time or ask for less.`,
      ),
    );

  /** Frees the session here and in the shards after. @param origin - the stream that said so, which need not be told */
  function end(session: ShardSession, origin?: FlowLink, error?: AiosError): void {
    if (session.ended) return;
    session.ended = true;
    sessions.delete(session.id);
    clearTimeout(session.deadline);
    executor.closeSession(session.id);
    turns.leave(session);
    for (const _step of session.waiting.splice(0)) {
      tally.stepLeftQueue();
      session.upstream.grant();
    }
    tally.sessionClosed(session.id, error);
    if (session.next && session.next !== origin) tell(session.next, session.id, 'close');
    turns.advance();
    if (sessions.size === 0) drained?.();
  }

  /** Ends the session and tells the shard before and the driver why. */
  function fail(session: ShardSession, error: AiosError, origin?: FlowLink): void {
    if (session.ended) return;
    end(session, origin, error);
    sharing.failed(session, error);
    for (const link of new Set([session.driver, session.upstream])) {
      if (link && link !== origin) tell(link, session.id, 'fail', error);
    }
  }

  return {
    get emptyResidentBytes() {
      return executor.emptyResidentBytes;
    },
    acceptLink(link) {
      peers.set(link.peerId, link);
      attend(link);
    },
    // biome-ignore lint/correctness/useYield: a shard answers no packets, it only says so
    async *infer() {
      throw new AiosError(
        'UNSUPPORTED',
        `${shard} is part of a model and takes no packets. Ask the model's vDAG.`,
      );
    },
    takeSpans: tally.takeSpans,
    counters: () => tally.read(sessions.size, stage, executor.counters),
    async drain() {
      refusal = new DataPlaneError('SHARD_UNAVAILABLE', `${shard} is ending. Ask again.`);
      if (sessions.size === 0) return;
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    },
    async close() {
      refusal = new DataPlaneError('SHARD_UNAVAILABLE', `${shard} was stopped. Ask again.`);
      for (const session of sessions.values()) fail(session, refusal);
      await executor.close();
      nextHops.close();
    },
  };
}
