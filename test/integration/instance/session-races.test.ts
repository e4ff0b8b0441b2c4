import { describe, expect, it } from 'vitest';
import { emptyFrame } from '../../../runtime/dataplane/index.ts';
import { startChain } from './chain.ts';
import { createDriver, eventually, generate } from './driver.ts';

describe('a session of a chain', () => {
  it.each([1, 2])('that shard %i refuses takes no slot anywhere', async (refusing) => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    await chain.hosts[refusing]!.drain();
    const session = driver.session('s');

    session.open();
    session.step([1]);

    await expect(session.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    await eventually(() => chain.openSessions() === 0);
    expect(chain.links.every(({ up }) => up)).toBe(true);
    driver.close();
  });

  it('that is closed while the stream to the next shard is opened, goes no further', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    const session = driver.session('s');

    session.open();
    session.close();
    await eventually(() => chain.counters(0).sessionsClosed === 1);
    await generate(driver, 'next', [1, 2], { maxTokens: 2 });

    expect(chain.counters(1).sessionsOpened).toBe(1);
    await eventually(() => chain.openSessions() === 0);
    driver.close();
  });

  it('that is closed at the last shard first, as by a driver that tells both ends, is gone from all', async () => {
    await using chain = await startChain(3);
    const driver = await createDriver(chain.hops);
    await generate(driver, 'first', [1], { maxTokens: 1 });
    for (let round = 0; round < 50; round += 1) {
      const session = driver.session(`s${round}`);
      session.open();
      driver.last.send({ ...emptyFrame('close'), session: session.id });
      session.close();
    }
    await generate(driver, 'last', [1], { maxTokens: 1 });
    await eventually(() => chain.openSessions() === 0);
    driver.close();
  });

  it('goes to the shard where it is now: a stream to one that was replaced is not used again', async () => {
    await using before = await startChain(2);
    await using after = await startChain(2);
    const old = await createDriver(before.hops);
    await generate(old, 'before', [1, 2, 3], { maxTokens: 3 });

    // The same instance at another address, while the old one still answers, and after it is gone.
    const moved = [before.hops[0]!, after.hops[1]!];
    for (const [round, gone] of [false, true].entries()) {
      if (gone) await before.cut(1);
      const driver = await createDriver(moved, `driver-${round}`);
      const tokens = await generate(driver, `after-${round}`, [1, 2, 3], { maxTokens: 3 });
      expect(tokens).toHaveLength(3);
      driver.close();
    }

    expect(after.counters(1).sessionsOpened).toBe(2);
    expect(before.counters(1).sessionsOpened).toBe(1);
    old.close();
  });

  it('finds its way again after every stream between two shards went down', async () => {
    await using chain = await startChain(2);
    const driver = await createDriver(chain.hops);
    await generate(driver, 'before', [1, 2, 3], { maxTokens: 3 });
    for (const link of chain.links) if (link.peerId === 'shard-1') link.close();

    const tokens = await generate(driver, 'after', [1, 2, 3], { maxTokens: 3 });

    expect(tokens).toHaveLength(3);
    await eventually(() => chain.openSessions() === 0);
    driver.close();
  });
});
