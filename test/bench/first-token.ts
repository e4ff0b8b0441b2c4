/**
 * Time to the first token of a long prompt, k shards as served over HTTP against the prefill of one unsplit session in this
 * process, in turns: one thread each, spinning off. Then the bytes of all frames between driver and shards: of a token of
 * the prompt, and of one of the answer.
 */
import { System } from '../support/system.ts';
import { ask, promptOf } from './parts/ask.ts';
import { shardCounters, wireBytes } from './parts/counters.ts';
import { median, modelFolder, readOptions, row } from './parts/options.ts';
import { splitFlags } from './parts/split-options.ts';
import { loadUnsplit, type Unsplit } from './parts/unsplit.ts';

const contextTokens = 1024;
const answerTokens = 33;
const nodeMemoryBytes = 8 * 2 ** 30;

const options = readOptions({
  ...{ model: '0.5b', shards: [1, 2, 3], dtypes: ['fp32'], tokens: 512, rounds: 3 },
});
const { model, shards, dtypes, tokens: promptTokens, rounds } = options;

/** Bytes on the wire since the shards' start, once `sessions` have ended. */
const sent = async (system: System, sessions: number) =>
  wireBytes(await shardCounters(system, sessions));

async function measure(folder: string, whole: Unsplit, dtype: string, k: number): Promise<void> {
  const system = await System.start();
  try {
    await system.cluster('bench', 4, nodeMemoryBytes, 4);
    const flags = ['--max-sessions', '1', '--context', String(contextTokens)];
    const name = await system.model(folder, k, ...flags, ...splitFlags(dtype));
    let session = 0;
    const firstMs = async (length: number, tokens: number) => {
      session += 1;
      const answer = await ask(system.url, name, promptOf(session, length), tokens);
      return (answer.tokenMs[0] ?? Number.NaN) - answer.startedMs;
    };
    await firstMs(16, 4);

    const before = await sent(system, session);
    await firstMs(16, 1);
    const short = await sent(system, session);
    await firstMs(16, answerTokens);
    const answered = await sent(system, session);
    await firstMs(promptTokens, 1);
    const prompted = await sent(system, session);
    const decodeBytes = (answered - short - (short - before)) / (answerTokens - 1);
    const prefillBytes = (prompted - answered - (short - before)) / (promptTokens - 16);

    const wholeMs: number[] = [];
    const servedMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { startedMs, tokenMs } = await whole.answer(promptOf(session, promptTokens), 1);
      wholeMs.push((tokenMs[0] ?? Number.NaN) - startedMs);
      servedMs.push(await firstMs(promptTokens, 1));
    }
    const ratios = servedMs.map((ms, at) => (wholeMs[at] ?? Number.NaN) / ms);
    console.log(
      row(
        ...([
          [String(k), 8],
          [dtype, 7],
          [`${median(wholeMs).toFixed(0)} ms`, 12],
          [`${median(servedMs).toFixed(0)} ms`, 12],
          [`${median(ratios).toFixed(2)}×`, 16],
          [prefillBytes.toFixed(0), 18],
          [decodeBytes.toFixed(0), 18],
        ] as const),
      ),
    );
  } finally {
    await system.stop();
  }
}

const folder = await modelFolder(model);
console.log(
  `model ${model}, first token of a prompt of ${promptTokens}, median of ${rounds} rounds`,
);
console.log(
  row(['shards', 8], ['dtype', 7], ['unsplit', 12], ['served', 12], ['of its speed', 16]) +
    row(['bytes/prompt tok', 18], ['bytes/answer tok', 18]),
);
for (const dtype of dtypes) {
  const whole = await loadUnsplit(folder, dtype, contextTokens);
  for (const k of shards) await measure(folder, whole, dtype, k);
  await whole.close();
}
