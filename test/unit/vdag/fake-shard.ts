import { randomBytes } from 'node:crypto';
import type { RoutedInstance } from '../../../runtime/control-plane.ts';
import {
  connectInstance,
  emptyFrame,
  type Frame,
  type FrameLink,
  type InstanceServer,
  type OpenPayload,
  serveInstance,
} from '../../../runtime/dataplane/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { Packet } from '../../../sdk/packet.ts';

/** What the last fake shard answers, in order; after the last it starts again. */
export interface Script {
  tokens: readonly number[];
  logprobs?: boolean;
  /** Answers OPEN with this instead. */
  refuseOpen?: AiosError[];
  /** Fails the step that asks for the token of this index. */
  failAt?: { readonly index: number; readonly error: AiosError; readonly once?: boolean };
  /** Says nothing from the token of this index on. */
  muteAt?: number;
}

interface Session {
  readonly open: OpenPayload;
  readonly next: FrameLink | undefined;
  sampled: number;
  /** Positions the session holds. */
  rows: number;
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/**
 * An instance that speaks the real protocol over a real socket and computes nothing: shards before the last pass frames
 * on, the last one answers from a script.
 */
export class FakeShard {
  readonly sessions = new Map<string, Session>();
  readonly received: Frame[] = [];
  readonly opens: OpenPayload[] = [];
  readonly packets: { packet: Packet; parameters: unknown }[] = [];
  maxSessions = 0;
  closes = 0;
  readonly instanceId: string;
  readonly blockId: string;
  readonly secret = randomBytes(32).toString('hex');
  readonly script: Script;
  infer: (packet: Packet, signal: AbortSignal) => AsyncIterable<unknown> = async function* () {};
  #server: InstanceServer | undefined;
  readonly #peers = new Map<string, FrameLink>();
  readonly #links = new Map<string, Promise<FrameLink>>();

  constructor(blockId: string, script: Script, instanceId = `${blockId}-a`) {
    this.blockId = blockId;
    this.instanceId = instanceId;
    this.script = script;
  }

  async start(): Promise<this> {
    const shard = this;
    this.#server = await serveInstance({
      instanceId: this.instanceId,
      secret: this.secret,
      handlers: {
        onAttach() {},
        onLink: (link) => {
          this.#peers.set(link.peerId, link);
          link.onFrame((frame) => {
            void this.#accept(frame, link);
            link.grant();
          });
        },
        async *infer({ packet, parameters, signal }) {
          shard.packets.push({ packet, parameters });
          let last: Packet | undefined;
          for await (const data of shard.infer(packet, signal)) {
            if (last) yield { final: false, packet: last };
            last = { ...packet, data };
          }
          if (last) yield { final: true, packet: last };
        },
      },
    });
    return this;
  }

  get routed(): RoutedInstance {
    return {
      instanceId: this.instanceId,
      blockId: this.blockId,
      clusterId: 'c',
      nodeId: 'n',
      address: this.#server?.address ?? '',
      secret: this.secret,
      release() {},
    };
  }

  /** As a killed process: every stream ends. */
  async stop(): Promise<void> {
    await this.#server?.close();
  }

  async #accept(frame: Frame, from: FrameLink): Promise<void> {
    this.received.push({ ...frame, payload: frame.payload.slice() });
    try {
      if (frame.type === 'open') await this.#open(frame);
      else if (frame.type === 'step') this.#step(frame);
      else if (frame.type === 'close') {
        this.closes += 1;
        this.sessions.get(frame.session)?.next?.send(frame);
        this.sessions.delete(frame.session);
      }
    } catch (error) {
      const payload = encode(AiosError.from(error).serialize());
      from.send({ ...emptyFrame('fail'), session: frame.session, payload });
    }
  }

  async #open(frame: Frame): Promise<void> {
    const open = JSON.parse(new TextDecoder().decode(frame.payload)) as OpenPayload;
    this.opens.push(open);
    const refusal = this.script.refuseOpen?.shift();
    if (refusal) throw refusal;
    const [, hop] = open.route;
    const session: Session = { open, next: undefined, sampled: 0, rows: 0 };
    this.sessions.set(frame.session, session);
    this.maxSessions = Math.max(this.maxSessions, this.sessions.size);
    if (!hop) {
      this.#toDriver(session, { ...emptyFrame('opened'), session: frame.session });
      return;
    }
    const link =
      this.#links.get(hop.address) ??
      connectInstance({ address: hop.address, peerId: this.instanceId, ticket: hop.ticket }).link();
    this.#links.set(hop.address, link);
    const next = await link;
    this.sessions.set(frame.session, { ...session, next });
    next.send({ ...frame, payload: encode({ ...open, route: open.route.slice(1) }) });
  }

  #step(frame: Frame): void {
    const session = this.sessions.get(frame.session);
    if (!session || frame.position !== session.rows) {
      throw new AiosError('SESSION_UNKNOWN', `session '${frame.session}' is not open here.`);
    }
    session.rows += frame.rows;
    const timings = [...frame.timings, 2_000_000, 1_000_000];
    session.next?.send({ ...frame, timings });
    if (session.next) return;
    const isAnswer = frame.rows === 1 && frame.position > 0;
    // Tokens of an answer that come again: nothing was asked for at the prompt's end, and nothing is before the last.
    if (isAnswer) session.sampled = Math.max(session.sampled, 1);
    if (!frame.sample) session.sampled += isAnswer ? 1 : 0;
    if (!frame.sample) return;
    const { tokens, failAt, muteAt, logprobs } = this.script;
    const index = session.sampled++;
    if (failAt?.index === index) {
      if (failAt.once) delete this.script.failAt;
      throw failAt.error;
    }
    if (muteAt !== undefined && index >= muteAt) return;
    const token = tokens[index % tokens.length] ?? 0;
    this.#toDriver(session, {
      ...emptyFrame('token'),
      session: frame.session,
      sequence: index + 1,
      token,
      timings,
      ...(logprobs ? { payload: encode({ logprob: -1, top: [[token, -1]] }) } : {}),
    });
  }

  #toDriver({ open }: Session, frame: Frame): void {
    this.#peers.get(open.driverId)?.send(frame);
  }
}
