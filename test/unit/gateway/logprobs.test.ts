import { expect, test } from 'vitest';
import { completionLogprobs } from '../../../runtime/gateway/openai/logprobs.ts';

const part = (bytes: number[], logprob: number) => ({
  token: bytes[0] ?? 0,
  text: Buffer.from(bytes).toString('utf8'),
  bytes,
  logprob,
});

test('parts of a character have names of their own, so that none hides another', () => {
  const first = part([0xe2], -0.1);
  const other = part([0xe3, 0x81], -2);

  const { tokens, top_logprobs } = completionLogprobs([{ ...first, top: [first, other] }], 0);

  expect(tokens).toEqual(['bytes:\\xe2']);
  expect(top_logprobs).toEqual([{ 'bytes:\\xe2': -0.1, 'bytes:\\xe3\\x81': -2 }]);
});
