import { parseTraceparent, type Span, type Tracer } from '../tracing/index.ts';
import type { GatewayContext } from './context.ts';

/** Calls that compute something; the control API is asked too often to be worth a trace each time. */
const traced = /^\/(v1\/(chat\/)?completions|api\/infer\/[^/]+\/[^/]+)$/;

/** Begins the span of a request, in the trace that its `traceparent` names. @returns nothing where it is none to trace */
export function startRequestSpan(tracer: Tracer | undefined, c: GatewayContext): Span | undefined {
  const { method, path } = c.req;
  if (!tracer || method !== 'POST' || !traced.test(path)) return undefined;
  const route = path.startsWith('/v1/') ? path : '/api/infer/{kind}/{id}';
  return tracer.start({
    name: `${method} ${route}`,
    kind: 'server',
    parent: parseTraceparent(c.req.header('traceparent')),
    attributes: { 'http.request.method': method, 'http.route': route, 'url.path': path },
  });
}

export function endRequestSpan(span: Span | undefined, status: number): void {
  span?.set({ 'http.response.status_code': status });
  span?.end(status >= 500 ? `status ${status}` : undefined);
}
