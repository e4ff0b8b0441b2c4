import { Hono } from 'hono';
import { AiosError } from '../../../sdk/errors.ts';
import { createAdmission } from '../admission.ts';
import type { GatewayContext, GatewayEnv, GatewayServices } from '../context.ts';
import { problemDetails, toAiosError } from '../problem.ts';
import { eventStream, type OutgoingEvent } from '../sse.ts';

const maxTailLines = 10_000;
const maxWaitingChanges = 10_000;
const maxFollowers = 64;

/** Streams that last until the client has seen enough: logs and changes. Their number has a limit of its own. */
export function streamRoutes(services: GatewayServices): Hono<GatewayEnv> {
  const { controlPlane, log } = services;
  const routes = new Hono<GatewayEnv>();
  const followers = createAdmission('log and watch streams', maxFollowers);

  const respond = (events: AsyncGenerator<OutgoingEvent>) => {
    const leave = followers.enter();
    return eventStream(closing(events, leave), (fault) => errorEvent(fault, log));
  };

  const logs = (c: GatewayContext, target: { instanceId: string } | { blockId: string }) => {
    const { tenant, signal } = c.var.facts;
    const lines = controlPlane.logs(tenant, target, {
      tail: tailOf(c),
      follow: c.req.query('follow') === 'true',
      signal,
    });
    return respond(toEvents(lines));
  };
  routes.get('/instances/:id/logs', (c) => logs(c, { instanceId: c.req.param('id') }));
  routes.get('/blocks/:id/logs', (c) => logs(c, { blockId: c.req.param('id') }));

  routes.get('/watch', (c) => {
    const { tenant, signal } = c.var.facts;
    return respond(changes((listener) => controlPlane.watch(tenant, listener), signal));
  });
  return routes;
}

/** An event in place of the rest of a control stream. */
export function errorEvent(fault: unknown, log: (line: string) => void): OutgoingEvent {
  return { event: 'error', data: problemDetails(toAiosError(fault, log)) };
}

function tailOf(c: GatewayContext): number {
  const text = c.req.query('tail') ?? '100';
  const tail = Number(text);
  if (Number.isInteger(tail) && tail >= 0 && tail <= maxTailLines) return tail;
  throw new AiosError(
    'REQUEST_INVALID',
    `tail is '${text.slice(0, 40)}'; expected a whole number from 0 to ${maxTailLines}.`,
  );
}

async function* toEvents(values: AsyncIterable<unknown>): AsyncGenerator<OutgoingEvent> {
  for await (const data of values) yield { data };
}

/** Runs `after` once the events end, also when nobody read the first. */
function closing<T>(events: AsyncGenerator<T>, after: () => void): AsyncIterator<T> {
  return {
    async next() {
      try {
        const next = await events.next();
        if (next.done) after();
        return next;
      } catch (error) {
        after();
        throw error;
      }
    },
    async return() {
      after();
      return events.return(undefined);
    },
  };
}

/** Turns calls into events until the signal aborts. A reader that falls too far behind is told so. */
async function* changes(
  watch: (listener: (change: unknown) => void) => () => void,
  signal: AbortSignal,
): AsyncGenerator<OutgoingEvent> {
  const waiting: unknown[] = [];
  let wake: (() => void) | undefined;
  const changed = () => wake?.();
  const stop = watch((change) => {
    if (waiting.length <= maxWaitingChanges) waiting.push(change);
    changed();
  });
  signal.addEventListener('abort', changed);
  try {
    while (!signal.aborted) {
      if (waiting.length > maxWaitingChanges) {
        throw new AiosError(
          'BUSY',
          `more than ${maxWaitingChanges} changes wait to be read. Read the lists, then watch again.`,
        );
      }
      const change = waiting.shift();
      if (change !== undefined) {
        yield { data: change };
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stop();
    signal.removeEventListener('abort', changed);
  }
}
