import { describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { startChain } from './chain.ts';
import { createDriver, eventually, generate } from './driver.ts';
import { fakeToken } from './fake-executor.ts';

function expectedTokens(prompt: readonly number[], count: number, shards: number): number[] {
  const tokens: number[] = [];
  let last = prompt.at(-1) ?? 0;
  let position = prompt.length - 1;
  while (tokens.length < count) {
    last = fakeToken(last, position, shards);
    tokens.push(last);
    position += 1;
  }
  return tokens;
}

describe('a chain of shards', () => {
  it.each([1, 2, 3, 4])('of %i answers what one would', async (shards) => {
    await using chain = await startChain(shards);
    const driver = await createDriver(chain.hops);
    const prompt = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];

    const tokens = await generate(driver, 's', prompt, { maxTokens: 12, chunkRows: 3 });

    expect(tokens).toEqual(expectedTokens(prompt, 12, shards));
    await eventually(() => chain.openSessions() === 0);
    for (const [index] of chain.hops.entries()) {
      expect(chain.counters(index)).toMatchObject({
        sessionsOpened: 1,
        sessionsClosed: 1,
        steps: 15,
        tokens: index === shards - 1 ? 12 : 0,
        payloadCopies: 0,
      });
    }
    driver.close();
  });

  it('tells the driver in order, with positions and what every shard took', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');

    session.open();
    const opened = await session.next();
    session.step([5, 6]);
    const token = await session.next();

    expect(opened).toMatchObject({ type: 'opened', session: 's', sequence: 0 });
    expect(token).toMatchObject({ type: 'token', sequence: 1, position: 2 });
    expect(token.timings).toHaveLength(6);
    expect(token.timings.filter((_, index) => index % 2 === 0)).toEqual([1000, 1000, 1000]);
    driver.close();
  });

  it('takes the prompt before OPENED has come back', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');

    session.open();
    session.step([1, 2, 3], false);
    session.step([4]);

    expect((await session.next()).type).toBe('opened');
    expect(await session.next()).toMatchObject({ token: fakeToken(4, 3, 3) });
    driver.close();
  });

  it('serves eight sessions at once, step by step in turn', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const prompts = Array.from({ length: 8 }, (_, index) => [index, index + 1, index + 2]);

    const answers = await Promise.all(
      prompts.map((prompt, index) => generate(driver, `s${index}`, prompt, { maxTokens: 20 })),
    );

    expect(answers).toEqual(prompts.map((prompt) => expectedTokens(prompt, 20, 3)));
    for (const index of [0, 1, 2]) {
      const counters = chain.counters(index);
      expect(counters.maxOpenSessions).toBe(8);
      expect(counters.sessionSwitches).toBeGreaterThan(40);
      expect(counters.framesIn).toBeGreaterThan(160);
    }
    await eventually(() => chain.openSessions() === 0);
    driver.close();
  });

  it('lets a short session pass the chunks of a long one', async () => {
    await using chain = await startChain(1);
    const driver = await createDriver(chain.hops);
    const long = driver.session('long');
    const short = driver.session('short');
    for (const session of [long, short]) session.open();
    await Promise.all([long.next(), short.next()]);

    const release = chain.executors[0]!.hold();
    for (let chunk = 0; chunk < 10; chunk += 1) long.step([1], chunk === 9);
    short.step([2]);
    await eventually(() => chain.counters(0).framesIn >= 13);
    release();
    await Promise.all([long.next(), short.next()]);

    expect(chain.executors[0]!.order.indexOf('short')).toBeLessThan(4);
    driver.close();
  });

  it('refuses the session that finds no slot, and frees what it took before', async () => {
    await using chain = await startChain(2, 2);
    const driver = await createDriver(chain.hops);
    const sessions = ['a', 'b', 'c'].map((id) => driver.session(id));
    for (const session of sessions.slice(0, 2)) {
      session.open();
      await session.next();
    }

    sessions[2]!.open();

    const refusal = await sessions[2]!.next().catch((error: AiosError) => error);
    expect(refusal).toMatchObject({ code: 'BUSY', retryable: true });
    expect((refusal as AiosError).details.retryAfterMs).toBeTypeOf('number');
    expect(chain.openSessions()).toBe(8);

    sessions[0]!.close();
    await eventually(() => chain.openSessions() === 4);
    const again = driver.session('d');
    again.open();
    expect((await again.next()).type).toBe('opened');
    driver.close();
  });

  it('frees every shard when the caller cancels, and drops the steps that wait', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');
    session.open();
    await session.next();
    const release = chain.executors[1]!.hold();
    for (let chunk = 0; chunk < 10; chunk += 1) session.step([chunk], false);
    await eventually(() => chain.counters(1).framesIn >= 8);

    session.close();
    await eventually(() => chain.counters(2).openSessions === 0);
    release();

    await eventually(() => chain.openSessions() === 0);
    expect(chain.counters(1).steps).toBeLessThanOrEqual(1);
    driver.close();
  });

  it('frees every shard when the driver goes away', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    for (const id of ['a', 'b', 'c']) {
      const session = driver.session(id);
      session.open();
      await session.next();
    }
    expect(chain.openSessions()).toBe(18);

    driver.close();

    await eventually(() => chain.openSessions() === 0);
  });

  it('ends a session at its deadline in every shard', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');
    session.open({ deadlineMs: Date.now() + 300 });
    await session.next();

    await expect(session.next()).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });

    await eventually(() => chain.openSessions() === 0);
    driver.close();
  });

  it.each([0, 1, 2])('tells the driver when shard %i fails a step', async (index) => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');
    const other = driver.session('other');
    for (const one of [session, other]) {
      one.open();
      await one.next();
    }

    chain.executors[index]!.failNext(new AiosError('INTERNAL', 'the step broke'));
    session.step([1]);

    await expect(session.next()).rejects.toMatchObject({ code: 'INTERNAL' });
    await eventually(() => chain.openSessions() === 6);
    other.step([1]);
    expect((await other.next()).type).toBe('token');
    driver.close();
  });

  it.each([0, 1, 2])(
    'tells the driver when shard %i is lost, and frees the others',
    async (index) => {
      await using chain = await startChain(3);
      const driver = await createDriver(chain.hops);
      const session = driver.session('s');
      session.open();
      await session.next();

      await chain.cut(index);

      await expect(session.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
      const others = [0, 1, 2].filter((one) => one !== index);
      await eventually(() => others.every((one) => chain.counters(one).openSessions === 0));
      driver.close();
    },
  );

  it('says which instance it could not reach', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    await chain.cut(1);
    const session = driver.session('s');

    session.open();

    await expect(session.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(chain.counters(0).openSessions).toBe(0);
    driver.close();
  });

  it('holds back what a slow shard cannot take, and loses nothing', async () => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops);
    const sessions = ['a', 'b', 'c', 'd'].map((id) => driver.session(id));
    for (const session of sessions) {
      session.open();
      await session.next();
    }
    const release = chain.executors[1]!.hold();

    for (let step = 0; step < 60; step += 1) {
      for (const session of sessions) session.step([1], step === 59);
    }
    // Each of the two streams holds its credit of 64 frames, beside the four OPEN; the rest waits at the driver.
    await eventually(() => chain.counters(1).framesIn === 68 && chain.counters(0).steps >= 64);
    await eventually(() => driver.first.queuedFrames >= 244 - 2 * 64 - 16);

    for (const index of [0, 1]) {
      expect(chain.counters(index).maxQueuedFrames).toBeLessThanOrEqual(64);
    }
    release();
    for (const session of sessions) {
      expect(await session.next()).toMatchObject({ type: 'token', position: 60 });
    }
    expect(chain.counters(1).maxQueuedFrames).toBeLessThanOrEqual(64);
    driver.close();
  });

  it('computes no more for a driver that takes no tokens', async () => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops, 'driver-stuck', { grants: false });
    const other = await createDriver(chain.hops);
    const sessions = ['a', 'b'].map((id) => driver.session(id));
    for (const session of sessions) {
      session.open();
      await session.next();
      for (let step = 0; step < 60; step += 1) session.step([1]);
    }

    await eventually(() => chain.counters(1).tokens === 62);
    const tokens = await generate(other, 'other', [1, 2, 3], { maxTokens: 8 });

    expect(tokens).toEqual(expectedTokens([1, 2, 3], 8, 2));
    expect(chain.counters(1).tokens).toBe(62 + 8);
    // The two still wait: it was not their deadline that let the other by.
    expect(chain.counters(1).openSessions).toBeGreaterThanOrEqual(2);
    driver.close();
    await eventually(() => chain.openSessions() === 0);
    other.close();
  });

  it('refuses new sessions while it drains, and ends when the last one has', async () => {
    await using chain = await startChain(1);
    const driver = await createDriver(chain.hops);
    const [session, late] = [driver.session('s'), driver.session('late')];
    session.open();
    await session.next();
    let drained = false;

    const draining = chain.hosts[0]!.drain().then(() => {
      drained = true;
    });
    late.open();

    await expect(late.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    session.step([1]);
    expect((await session.next()).type).toBe('token');
    expect(drained).toBe(false);
    session.close();
    await draining;
    driver.close();
  });
});
