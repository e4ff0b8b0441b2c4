import { Hono } from 'hono';
import { AiosError } from '../../sdk/errors.ts';
import { defaultTenant } from '../../sdk/ids.ts';
import type { AccessRule } from './access.ts';
import type { Admission } from './admission.ts';
import { artifactRoutes } from './api/artifacts.ts';
import { controlRoutes } from './api/control.ts';
import { decisionRoutes } from './api/decisions.ts';
import { inferRoutes } from './api/infer.ts';
import { layerRoutes } from './api/layers.ts';
import { resourceRoutes } from './api/resources.ts';
import { splitTaskRoutes } from './api/split-tasks.ts';
import { streamRoutes } from './api/streams.ts';
import type { GatewayEnv, GatewayServices } from './context.ts';
import { metricRoutes, prometheusRoutes } from './metrics.ts';
import { openAiError } from './openai/errors.ts';
import { openAiRoutes } from './openai/routes.ts';
import { problemResponse, toAiosError } from './problem.ts';
import { onRequestEnd } from './request-end.ts';
import { endRequestSpan, startRequestSpan } from './request-span.ts';

export interface GatewayRules {
  readonly access: AccessRule;
  readonly admission: Admission;
  /** Aborts when the gateway closes. */
  readonly closing: AbortSignal;
}

/** Every route, behind one door: who may call, how many at once, and what an error looks like. */
export function createGatewayApp(services: GatewayServices, rules: GatewayRules): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  const isOpenAi = (path: string) => path === '/v1' || path.startsWith('/v1/');

  app.get('/healthz', (c) => c.json({ status: 'ok' }));

  app.use(async (c, next) => {
    const keyName = rules.access.check(c.req.raw.headers);
    const leave = rules.admission.enter();
    const span = startRequestSpan(services.tracer, c);
    const gone = new AbortController();
    const onClosing = () => gone.abort(rules.closing.reason);
    rules.closing.addEventListener('abort', onClosing);
    onRequestEnd(c.env, () => {
      rules.closing.removeEventListener('abort', onClosing);
      gone.abort(new AiosError('CANCELLED', 'the client went away.'));
      leave();
      endRequestSpan(span, c.env.outgoing.statusCode);
    });
    if (rules.closing.aborted) onClosing();
    c.set('facts', {
      ...{ tenant: defaultTenant, keyName, signal: gone.signal, trace: span?.context },
    });
    await next();
  });

  app.route('/v1', openAiRoutes(services));
  app.route('/', prometheusRoutes(services));
  for (const routes of [
    resourceRoutes,
    decisionRoutes,
    controlRoutes,
    streamRoutes,
    inferRoutes,
    layerRoutes,
    splitTaskRoutes,
    artifactRoutes,
    metricRoutes,
  ]) {
    app.route('/api', routes(services));
  }

  app.notFound((c) => {
    const error = new AiosError('NOT_FOUND', `there is no ${c.req.method} ${c.req.path} here.`);
    return isOpenAi(c.req.path) ? openAiError(error) : problemResponse(error);
  });
  app.onError((fault, c) => {
    const error = toAiosError(fault, services.log);
    return isOpenAi(c.req.path) ? openAiError(error) : problemResponse(error);
  });
  return app;
}
