/**
 * What the dtype of activations between shards does to a model's choices and to the bytes of a token: every position is
 * given the text that fp32 wrote, and its likeliest token and the log-probability of fp32's are held against fp32.
 * `--shards 2,3` says in how many parts, `--tokens 24` how long each answer is.
 */
import { wireDtypes } from '../../sdk/spec/wire-dtype.ts';
import { readGolden, tinyAssistantFolder } from '../support/tiny-assistant.ts';
import { evaluateWire } from '../support/wire-evaluation.ts';
import { readOptions, row } from './parts/options.ts';

const layers = 8;
const { shards, tokens } = readOptions({
  ...{ model: 'tiny', shards: [2, 3], dtypes: ['fp32'], tokens: 24, rounds: 1 },
});
const conversations = readGolden().rows.map(({ promptTokens }) => ({
  ...{ promptTokens, maxTokens: tokens },
}));
const line = (...cells: readonly string[]) =>
  console.log(row(...cells.map((text, at) => [text, [6, 7, 11, 13, 13, 13][at] ?? 12] as const)));

line('shards', 'dtype', 'positions', 'same top-1', 'mean gap', 'largest', 'bytes/token');
for (const k of shards) {
  const firstLayers = Array.from({ length: k }, (_, index) => Math.floor((index * layers) / k));
  const found = await evaluateWire(tinyAssistantFolder, firstLayers, wireDtypes, conversations);
  for (const [dtype, seen] of found) {
    line(
      ...[String(k), dtype, String(seen.positions), `${(100 * seen.agreement).toFixed(2)} %`],
      ...[seen.meanGap.toExponential(1), seen.largestGap.toExponential(1)],
      seen.bytesPerToken.toFixed(0),
    );
  }
}
