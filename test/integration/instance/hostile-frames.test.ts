import { describe, expect, it } from 'vitest';
import {
  connectInstance,
  emptyFrame,
  type Frame,
  jsonBytes,
  mintTicket,
} from '../../../runtime/dataplane/index.ts';
import { type Chain, startChain } from './chain.ts';
import { createDriver, type Driver, type DriverSession, eventually, type Hop } from './driver.ts';
import { fakeToken } from './fake-executor.ts';

interface Hostility {
  readonly what: string;
  readonly code: string;
  /** Breaks a rule in `victim`, which is open and holds one token. */
  act(context: { driver: Driver; victim: DriverSession; chain: Chain }): void;
}

const raw = (driver: Driver, victim: DriverSession, frame: Partial<Frame>) =>
  driver.first.send({
    ...emptyFrame('step'),
    session: victim.id,
    sequence: 2,
    position: 1,
    rows: 1,
    dtype: 'int32',
    shape: [1],
    payload: Uint8Array.from([1, 0, 0, 0]),
    ...frame,
  });

const hostilities: readonly Hostility[] = [
  {
    what: 'a step that comes twice',
    code: 'FRAME_OUT_OF_ORDER',
    act: ({ driver, victim }) => raw(driver, victim, { sequence: 1, position: 0 }),
  },
  {
    what: 'a gap in the sequence',
    code: 'FRAME_OUT_OF_ORDER',
    act: ({ driver, victim }) => raw(driver, victim, { sequence: 9 }),
  },
  {
    what: 'a gap in the positions',
    code: 'FRAME_OUT_OF_ORDER',
    act: ({ driver, victim }) => raw(driver, victim, { position: 5 }),
  },
  {
    what: 'a position before those it holds',
    code: 'FRAME_OUT_OF_ORDER',
    act: ({ driver, victim }) => raw(driver, victim, { position: 0 }),
  },
  {
    what: 'a session that is opened twice',
    code: 'SESSION_EXISTS',
    act: ({ driver, victim }) =>
      driver.first.send({ ...emptyFrame('open'), session: victim.id, payload: jsonBytes({}) }),
  },
  {
    what: 'the wrong dtype',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) => raw(driver, victim, { dtype: 'float32' }),
  },
  {
    what: 'the wrong shape',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) =>
      raw(driver, victim, { rows: 1, shape: [1, 4], payload: new Uint8Array(16) }),
  },
  {
    what: 'rows that are not the shape’s',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) => raw(driver, victim, { rows: 2 }),
  },
  {
    what: 'no rows at all',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) =>
      raw(driver, victim, { rows: 0, shape: [0], payload: new Uint8Array(0) }),
  },
  {
    what: 'a token outside the vocabulary',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) => raw(driver, victim, { payload: Uint8Array.from([100, 0, 0, 0]) }),
  },
  {
    what: 'a negative token',
    code: 'TENSOR_MISMATCH',
    act: ({ driver, victim }) =>
      raw(driver, victim, { payload: Uint8Array.from([255, 255, 255, 255]) }),
  },
  {
    what: 'a step past the end of the context',
    code: 'CONTEXT_LENGTH_EXCEEDED',
    act: ({ driver, victim }) =>
      raw(driver, victim, { rows: 64, shape: [64], payload: new Uint8Array(256) }),
  },
  {
    what: 'a frame that only shards may send',
    code: 'FRAME_OUT_OF_ORDER',
    act: ({ driver, victim }) =>
      driver.first.send({ ...emptyFrame('token'), session: victim.id, token: 4 }),
  },
];

async function openVictim(driver: Driver): Promise<DriverSession> {
  const victim = driver.session('victim');
  victim.open();
  await victim.next();
  victim.step([1]);
  await victim.next();
  return victim;
}

describe('a hostile peer', () => {
  it.each(hostilities)(
    'that sends $what gets $code, and nobody else notices',
    async ({ code, act }) => {
      await using chain = await startChain(2);
      const driver = await createDriver(chain.hops);
      const other = driver.session('other');
      other.open();
      await other.next();
      const victim = await openVictim(driver);

      act({ driver, victim, chain });

      await expect(victim.next()).rejects.toMatchObject({ code });
      await eventually(() => chain.openSessions() === 4);
      other.step([3]);
      expect(await other.next()).toMatchObject({ type: 'token', token: fakeToken(3, 0, 2) });
      driver.close();
    },
  );

  it.each([
    ['a step before its OPEN', 'nobody'],
    ['a step without a session', ''],
  ])('that sends %s gets SESSION_UNKNOWN', async (_what, session) => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops);
    const nobody = driver.session(session);

    raw(driver, nobody, { sequence: 1 });

    await expect(nobody.next()).rejects.toMatchObject({ code: 'SESSION_UNKNOWN' });
    expect((await openVictim(driver)).id).toBe('victim');
    driver.close();
  });

  it.each([
    ['a payload that is not JSON', 'FRAME_MALFORMED', Buffer.from('{"tenant":')],
    ['a payload without a route', 'FRAME_MALFORMED', jsonBytes({ tenant: 'x' })],
    ['a payload of three megabytes', 'FRAME_TOO_LARGE', Buffer.alloc(3 * 2 ** 20, 32)],
  ])('that opens a session with %s gets %s', async (_what, code, payload) => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops);
    const bad = driver.session('bad');

    bad.send({ type: 'open', payload });

    await expect(bad.next()).rejects.toMatchObject({ code });
    expect(chain.openSessions()).toBe(0);
    expect((await openVictim(driver)).id).toBe('victim');
    driver.close();
  });

  it.each([
    ['a prompt longer than the context', 'CONTEXT_LENGTH_EXCEEDED', Array(64).fill(1), 2],
    ['a prompt with a token that does not exist', 'TENSOR_MISMATCH', [1, 100], 2],
    ['a route that ends too early', 'FRAME_MALFORMED', [], 1],
  ])('that opens a session with %s gets %s', async (_what, code, promptTokens, hops) => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops.slice(0, hops));
    const bad = driver.session('bad');

    bad.open({ promptTokens });

    await expect(bad.next()).rejects.toMatchObject({ code });
    expect(chain.openSessions()).toBe(0);
    driver.close();
  });

  it('cannot open, step or close the session of another driver', async () => {
    await using chain = await startChain(1);
    const driver = await createDriver(chain.hops);
    const victim = await openVictim(driver);
    const thief = await createDriver(chain.hops, 'driver-thief');
    const stolen = thief.session('victim');

    stolen.open();
    await expect(stolen.next()).rejects.toMatchObject({ code: 'SESSION_EXISTS' });
    stolen.step([1]);
    await expect(stolen.next()).rejects.toMatchObject({ code: 'SESSION_UNKNOWN' });
    stolen.close();
    stolen.send({ type: 'fail', payload: jsonBytes({ code: 'INTERNAL', message: 'x' }) });

    victim.step([2]);
    expect((await victim.next()).type).toBe('token');
    thief.close();
    driver.close();
  });

  it('cannot say that another driver opened its session', async () => {
    await using chain = await startChain(1);
    const driver = await createDriver(chain.hops);
    const hops = chain.hops as readonly Hop[];
    const thief = await createDriver(hops, 'driver-thief');
    const session = thief.session('s');

    session.send({
      type: 'open',
      payload: jsonBytes({
        tenant: 'default',
        driverId: 'driver-test',
        route: hops.map(({ instanceId, address }) => ({
          instanceId,
          address,
          ticket: '0'.repeat(64),
        })),
        deadlineMs: Date.now() + 1000,
        promptTokens: [],
        sampling: { temperature: 0, seed: 1 },
      }),
    });

    await expect(session.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(chain.openSessions()).toBe(0);
    thief.close();
    driver.close();
  });

  it.each([
    ['a wrong ticket', 'peer', '0'.repeat(64)],
    ['no ticket', 'peer', ''],
    ['the ticket of somebody else', 'peer', 'other'],
  ])('is refused with %s, whatever it calls', async (_what, peerId, ticket) => {
    await using chain = await startChain(1);
    const { address, secret } = chain.hops[0]!;
    const shown = ticket === 'other' ? mintTicket(secret, 'other') : ticket;
    const connection = connectInstance({ address, peerId, ticket: shown });

    await expect(connection.link()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const asked = connection.infer(
      { sessionId: 's', sequence: 0, data: 1, createdAtMs: 0 },
      { deadlineMs: Date.now() + 5000, signal: new AbortController().signal },
    );
    await expect(asked[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const lost = await new Promise((onDown) => connection.attach({ onReport: () => {}, onDown }));
    expect(lost).toMatchObject({ code: 'UNAUTHENTICATED' });
    connection.close();
  });
});
