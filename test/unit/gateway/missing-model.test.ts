import { expect, test } from 'vitest';
import { openAiErrorBody } from '../../../runtime/gateway/openai/errors.ts';
import { missingModel } from '../../../runtime/gateway/openai/missing-model.ts';
import { notFound } from '../../../runtime/registry/index.ts';
import { AiosError } from '../../../sdk/errors.ts';

const having = (...ids: readonly string[]) => ({
  models: async () => ids.map((id) => ({ id, createdAtMs: 0 })) as never,
});

test('an unknown model is told as OpenAI does, with those that there are', async () => {
  const error = await missingModel(having('a:1', 'b:2'), 't', 'nope', notFound('vdag', 'nope'));

  expect(openAiErrorBody(AiosError.from(error)).error).toMatchObject({
    code: 'model_not_found',
    message: "there is no model 'nope'; there is a:1, b:2.",
  });
});

test('other faults stay what they are', async () => {
  for (const fault of [notFound('block', 'nope'), notFound('vdag', 'inner'), new Error('x')]) {
    expect(await missingModel(having(), 't', 'nope', fault)).toBe(fault);
  }
});
