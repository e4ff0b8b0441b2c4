import { afterAll, beforeAll, expect, it } from 'vitest';
import { differences, golden } from '../support/golden.ts';
import { System, tinyAssistant } from '../support/system.ts';

let system: System;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 18, 600 * 2 ** 20);
});

afterAll(() => system?.stop());

it.each([1, 2, 3, 4, 8])(
  '%i shards answer every golden row with its tokens, eight at a time',
  async (shards) => {
    const model = await system.model(tinyAssistant, shards);

    const rows = [...golden.rows];
    const faults: string[] = [];
    const worker = async () => {
      for (let row = rows.shift(); row; row = rows.shift()) {
        const found = await differences(system.url, model, row);
        if (found.length > 0) faults.push(`${row.messages.at(-1)?.content}: ${found.join('; ')}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));

    expect(faults).toEqual([]);
  },
);
