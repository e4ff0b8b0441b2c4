import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fanOut } from '../../../runtime/placement/fan-out.ts';

const after = (turns: number): Promise<void> =>
  turns === 0 ? Promise.resolve() : Promise.resolve().then(() => after(turns - 1));

describe('asking many at once', () => {
  it('gives each its own answer, whatever order they answer in, and asks at most 16 at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 40 }), { maxLength: 60 }), async (turns) => {
        let running = 0;
        let most = 0;
        const things = turns.map((turn, at) => ({ turn, at }));
        const answers = await fanOut(
          things,
          60_000,
          async ({ turn, at }) => {
            running += 1;
            most = Math.max(most, running);
            await after(turn);
            running -= 1;
            return at;
          },
          () => -1,
        );
        expect(answers).toEqual(things.map(({ at }) => at));
        expect(most).toBeLessThanOrEqual(16);
      }),
    );
  });

  it('waits for nobody past its limit: what has not answered is told so, the others count', async () => {
    const asked: number[] = [];
    const answers = await fanOut(
      Array.from({ length: 40 }, (_, at) => at),
      50,
      async (at) => {
        asked.push(at);
        if (at % 3 === 1) await new Promise(() => undefined);
        return `answer ${at}`;
      },
      (at) => `late ${at}`,
    );
    expect(answers.slice(0, 3)).toEqual(['answer 0', 'late 1', 'answer 2']);
    expect(answers).toHaveLength(40);
    // Those that hang take the sixteen places one after the other; the rest is not even asked.
    expect(asked.length).toBeLessThan(60);
    expect(answers.filter((one) => one.startsWith('late'))).toContain('late 1');
  });

  it('fails with the first that fails', async () => {
    const failing = fanOut(
      [1, 2],
      60_000,
      async (thing) => {
        if (thing === 2) throw new Error('told to fail');
        return thing;
      },
      () => 0,
    );
    await expect(failing).rejects.toThrow('told to fail');
  });
});
