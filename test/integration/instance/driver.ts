import {
  connectInstance,
  emptyFrame,
  type FlowConnection,
  type FlowLink,
  type Frame,
  jsonBytes,
  mintTicket,
  type OpenPayload,
} from '../../../runtime/dataplane/index.ts';
import { AiosError, type SerializedError } from '../../../sdk/errors.ts';

export interface Hop {
  readonly instanceId: string;
  readonly address: string;
  readonly secret: string;
}

export interface OpenOptions {
  readonly deadlineMs?: number;
  readonly promptTokens?: readonly number[];
  readonly logprobs?: number;
  readonly tenant?: string;
  readonly sampling?: OpenPayload['sampling'];
}

/** One session of the test's driver: raw frames, in and out. */
export interface DriverSession {
  readonly id: string;
  open(options?: OpenOptions): void;
  /** Sends the tokens at the session's position. */
  step(tokens: readonly number[], sample?: boolean, override?: Partial<Frame>): void;
  send(frame: Partial<Frame> & Pick<Frame, 'type'>): void;
  close(): void;
  /** The next frame for the session. @throws the error of a FAIL, or of a link that went down */
  next(): Promise<Frame>;
}

/** The least a driver can be: a stream to the first instance and one to the last. */
export interface Driver {
  readonly first: FlowLink;
  readonly last: FlowLink;
  session(id: string): DriverSession;
  close(): void;
}

export async function createDriver(
  hops: readonly Hop[],
  driverId = 'driver-test',
  { grants = true } = {},
): Promise<Driver> {
  const ends = hops.length === 1 ? hops : [hops[0]!, hops[hops.length - 1]!];
  const connections: FlowConnection[] = ends.map(({ address, secret }) =>
    connectInstance({ address, peerId: driverId, ticket: mintTicket(secret, driverId) }),
  );
  const links = await Promise.all(connections.map((connection) => connection.link()));
  const inboxes = new Map<string, { frames: (Frame | Error)[]; wake: () => void }>();
  const inboxOf = (id: string) => {
    const inbox = inboxes.get(id) ?? { frames: [], wake: () => {} };
    inboxes.set(id, inbox);
    return inbox;
  };
  for (const link of links) {
    link.onFrame((frame) => {
      if (grants) link.grant();
      const inbox = inboxOf(frame.session);
      inbox.frames.push(frame);
      inbox.wake();
    });
    link.onDown((error) => {
      for (const inbox of inboxes.values()) {
        inbox.frames.push(error);
        inbox.wake();
      }
    });
  }
  const first = links[0]!;

  return {
    first,
    last: links[links.length - 1]!,
    session(id) {
      let sequence = 0;
      let position = 0;
      const inbox = inboxOf(id);
      const send: DriverSession['send'] = (frame) => {
        first.send({ ...emptyFrame(frame.type), session: id, sequence, ...frame });
        sequence += 1;
      };
      return {
        id,
        open(options = {}) {
          const { deadlineMs = Date.now() + 30_000, promptTokens = [], logprobs } = options;
          const payload: OpenPayload = {
            tenant: options.tenant ?? 'default',
            driverId,
            route: hops.map(({ instanceId, address, secret }, index) => ({
              instanceId,
              address,
              ticket: mintTicket(secret, hops[index - 1]?.instanceId ?? driverId),
            })),
            deadlineMs,
            promptTokens,
            sampling: options.sampling ?? {
              temperature: 0,
              topK: 0,
              topP: 1,
              repetitionPenalty: 1,
              seed: 1,
              ...(logprobs === undefined ? {} : { logprobs }),
            },
          };
          send({ type: 'open', payload: jsonBytes(payload) });
        },
        step(tokens, sample = true, override = {}) {
          send({
            type: 'step',
            position,
            rows: tokens.length,
            dtype: 'int32',
            shape: [tokens.length],
            sample,
            payload: new Uint8Array(Int32Array.from(tokens).buffer),
            ...override,
          });
          position += tokens.length;
        },
        send,
        close: () => send({ type: 'close' }),
        async next() {
          for (;;) {
            const frame = inbox.frames.shift();
            if (frame instanceof Error) throw frame;
            if (frame?.type === 'fail') {
              const text = Buffer.from(frame.payload).toString();
              throw AiosError.deserialize(JSON.parse(text) as SerializedError);
            }
            if (frame) return frame;
            await new Promise<void>((resolve) => {
              inbox.wake = resolve;
            });
          }
        },
      };
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

/** Opens a session and answers greedily. @returns the chosen tokens, at most `maxTokens` */
export async function generate(
  driver: Driver,
  id: string,
  promptTokens: readonly number[],
  {
    maxTokens,
    endToken,
    chunkRows = 16,
  }: { maxTokens: number; endToken?: number; chunkRows?: number },
): Promise<number[]> {
  const session = driver.session(id);
  session.open({ promptTokens });
  await session.next();
  for (let at = 0; at < promptTokens.length; at += chunkRows) {
    const chunk = promptTokens.slice(at, at + chunkRows);
    session.step(chunk, at + chunkRows >= promptTokens.length);
  }
  const tokens: number[] = [];
  for (;;) {
    const { token } = await session.next();
    tokens.push(token);
    if (tokens.length === maxTokens || token === endToken) break;
    session.step([token]);
  }
  session.close();
  return tokens;
}

/** Waits for something that becomes true by itself. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > until) throw new Error('it never became true');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
