import { Hono } from 'hono';
import { z } from 'zod';
import type { InferEvent } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { parseRequest } from '../../vdag/index.ts';
import { readJsonBody } from '../body.ts';
import { clientOf } from '../client-name.ts';
import { deadlineOf, type GatewayEnv, type GatewayServices } from '../context.ts';
import { eventStream, type OutgoingEvent } from '../sse.ts';
import { errorEvent } from './streams.ts';

const inferBody = z.strictObject({
  data: z.unknown(),
  sessionId: z.string().min(1).max(64).optional(),
  stream: z.boolean().default(false),
});

/** Calls a block or a vDAG as one thing. */
export function inferRoutes(services: GatewayServices): Hono<GatewayEnv> {
  const { runner, log } = services;
  const routes = new Hono<GatewayEnv>();

  routes.post('/infer/:kind/:id', async (c) => {
    const { kind, id } = c.req.param();
    if (kind !== 'block' && kind !== 'vdag') {
      throw new AiosError('NOT_FOUND', `'${kind}' cannot be called; expected block or vdag.`);
    }
    const document = await readJsonBody(c.req.raw);
    const { data, sessionId, stream } = parseRequest('the body', inferBody, document, {
      opaque: ['data'],
    });
    const { tenant, keyName, trace, signal } = c.var.facts;
    const events = runner.invoke({
      tenant,
      client: clientOf(keyName),
      trace,
      target: { kind, id },
      data,
      ...(sessionId === undefined ? {} : { sessionId }),
      deadlineMs: deadlineOf(c, services),
      signal,
    });
    if (!stream) return c.json({ data: await lastOf(events) });
    const iterator = events[Symbol.asyncIterator]();
    // Read before the status is sent, so that a refusal is an error status and not an event.
    const first = await iterator.next();
    return eventStream(toEvents(first, iterator), (fault) => errorEvent(fault, log));
  });
  return routes;
}

async function lastOf(events: AsyncIterable<InferEvent>): Promise<unknown> {
  for await (const { final, data } of events) if (final) return data;
  throw new AiosError('INTERNAL', 'the call ended without an answer.');
}

function toEvents(
  first: IteratorResult<InferEvent>,
  rest: AsyncIterator<InferEvent>,
): AsyncIterator<OutgoingEvent> {
  let unread: IteratorResult<InferEvent> | undefined = first;
  const toEvent = (result: IteratorResult<InferEvent>): IteratorResult<OutgoingEvent> =>
    result.done ? { done: true, value: undefined } : { value: { data: result.value } };
  return {
    async next() {
      const result = unread ?? (await rest.next());
      unread = undefined;
      return toEvent(result);
    },
    async return() {
      await rest.return?.();
      return { done: true, value: undefined };
    },
  };
}
