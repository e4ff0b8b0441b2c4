import { describe, expect, it } from 'vitest';
import { startChain } from './chain.ts';
import { createDriver, eventually, generate } from './driver.ts';
import { fakeStage } from './fake-executor.ts';

/** Of a frame: session, numbers, the times of the shards before, padding. */
const maxHeaderBytes = 128;
const shards = 3;
const { hiddenSize } = fakeStage(0, shards);

/** What one answer sends: by the driver to the first shard, then by each shard to the next, the last one to the driver. */
async function sentBy(promptTokens: number, maxTokens: number): Promise<readonly number[]> {
  await using chain = await startChain(shards);
  const driver = await createDriver(chain.hops);
  const prompt = Array.from({ length: promptTokens }, (_, at) => at);
  await generate(driver, 's', prompt, { maxTokens, chunkRows: promptTokens });
  await eventually(() => chain.openSessions() === 0);
  const sent = [driver.first.bytesOut, ...chain.hops.map((_, at) => chain.counters(at).bytesOut)];
  driver.close();
  return sent;
}

describe('bytes on the wire', () => {
  it('are a row of activations and one header a hop, for each token of an answer', async () => {
    const [short, long] = [await sentBy(4, 2), await sentBy(4, 42)];

    const [ids = 0, first = 0, second = 0, tokens = 0] = long.map(
      (bytes, at) => (bytes - (short[at] ?? 0)) / 40,
    );
    for (const row of [first, second]) {
      expect(row).toBeGreaterThanOrEqual(4 * hiddenSize);
      expect(row).toBeLessThanOrEqual(4 * hiddenSize + maxHeaderBytes);
    }
    expect(ids).toBeLessThanOrEqual(4 + maxHeaderBytes);
    expect(tokens).toBeLessThanOrEqual(maxHeaderBytes);
  });

  it('are the row alone for each more token of a prompt, and its id: a chunk has one header', async () => {
    const [short, long] = [await sentBy(8, 1), await sentBy(40, 1)];

    const [, first = 0, second = 0, tokens = 0] = long.map((bytes, at) => bytes - (short[at] ?? 0));
    const rowBytes = 32 * 4 * hiddenSize;
    // OPEN lists the prompt's ids as text.
    const idBytes = 32 * 4;
    for (const rows of [first, second]) {
      expect(rows).toBeGreaterThanOrEqual(rowBytes);
      expect(rows).toBeLessThanOrEqual(rowBytes + idBytes);
    }
    expect(tokens).toBeLessThanOrEqual(maxHeaderBytes);
  });
});
