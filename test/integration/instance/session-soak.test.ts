import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emptyFrame, frameLimits } from '../../../runtime/dataplane/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { startChain } from './chain.ts';
import { createDriver, type Driver, type DriverSession, eventually } from './driver.ts';

const shards = 3;
/** Grants gather until a quarter of the initial credit is due. */
const grantBatch = frameLimits.initialCredit / 4;

const fates = [
  'answers',
  'is cancelled before OPENED',
  'is cancelled with steps under way',
  'is closed twice, on both streams',
  'loses a step in shard',
  'leaves a gap',
  'says a token outside the vocabulary',
  'sends the wrong tensor',
  'opens twice',
  'has no time',
  'sends what nobody can read',
  'steps without OPEN',
] as const;

type Chain = Awaited<ReturnType<typeof startChain>>;

/** Lives one session as fate has it; however it ends is right, as long as it ends. */
async function live(
  chain: Chain,
  driver: Driver,
  session: DriverSession,
  fate: (typeof fates)[number],
  shard: number,
) {
  const over = async () => {
    for (;;) {
      const frame = await session.next();
      if (frame.type === 'token') return;
    }
  };
  if (fate !== 'steps without OPEN') {
    session.open(fate === 'has no time' ? { deadlineMs: Date.now() + shard } : {});
  }
  if (fate === 'is cancelled before OPENED') return session.close();
  session.step([1, 2, 3], false);
  switch (fate) {
    case 'is cancelled with steps under way':
      for (let step = 0; step < 9; step += 1) session.step([step], true);
      return session.close();
    case 'loses a step in shard':
      chain.executors[shard]?.failNext(new AiosError('INTERNAL', 'the step broke'));
      // Another session may be the one that fails.
      session.step([4]);
      break;
    case 'leaves a gap':
      session.step([4], true, { sequence: 7 });
      break;
    case 'says a token outside the vocabulary':
      session.step([100]);
      break;
    case 'sends the wrong tensor':
      session.step([4], true, { rows: 2 });
      break;
    case 'opens twice':
      session.open();
      break;
    case 'sends what nobody can read':
      session.send({ type: 'opened' });
      break;
    default:
      session.step([4]);
  }
  await over().catch(() => {});
  session.close();
  if (fate === 'is closed twice, on both streams') {
    driver.last.send({ ...emptyFrame('close'), session: session.id });
  }
}

it('hundreds of sessions that end in every way leave no slot taken and no credit lost', async () => {
  await using chain = await startChain(shards, 8);
  const driver = await createDriver(chain.hops);
  const lives = fc.sample(fc.tuple(fc.constantFrom(...fates), fc.nat(shards - 1)), {
    numRuns: 600,
    seed: 20,
  });
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < lives.length; index = next++) {
      const [fate, shard] = lives[index]!;
      await live(chain, driver, driver.session(`s${index}`), fate, shard);
    }
  };

  // More at once than there are slots: some find none.
  await Promise.all(Array.from({ length: 12 }, worker));

  await eventually(() => chain.openSessions() === 0);
  const links = [driver.first, driver.last, ...chain.links];
  expect(links).toHaveLength(2 + 2 + 2 * (shards - 1));
  await eventually(() =>
    links.every(({ credit }) => credit > frameLimits.initialCredit - grantBatch),
  );
  for (const link of links) {
    expect(link.up).toBe(true);
    expect(link.queuedFrames).toBe(0);
    expect(link.credit).toBeLessThanOrEqual(frameLimits.initialCredit);
  }
  for (let index = 0; index < shards; index += 1) {
    const { sessionsOpened, sessionsClosed } = chain.counters(index);
    expect(sessionsOpened).toBe(sessionsClosed);
  }
  driver.close();
});
