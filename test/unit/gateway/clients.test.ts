import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { startTestGateway } from './fakes.ts';

const messages = [{ role: 'user' as const, content: 'Say hello.' }];

test('without keys a request takes turns as its user says, and no name goes further', async () => {
  const { gateway, driver, url } = await startTestGateway();
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  for (const user of ['ann@example.org', 'bob', 'ann@example.org', undefined]) {
    await client.chat.completions.create({
      model: 'parrot',
      messages,
      ...(user === undefined ? {} : { user }),
    });
  }
  await gateway.close();

  const [ann, bob, annAgain, nobody] = driver.requests.map((request) => request.client);
  expect(ann).toMatch(/^user-[0-9a-f]{16}$/);
  expect(annAgain).toBe(ann);
  expect(bob).not.toBe(ann);
  expect(nobody).toBeUndefined();
});

test('with keys it is the key, whatever user it names', async () => {
  const { gateway, driver, url } = await startTestGateway({ apiKeys: ['first', 'second'] });
  for (const apiKey of ['second', 'first']) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
    await client.chat.completions.create({ model: 'parrot', messages, user: 'somebody' });
  }
  await gateway.close();

  expect(driver.requests.map((request) => request.client)).toEqual(['key-2', 'key-1']);
});
