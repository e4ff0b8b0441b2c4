import { Hono } from 'hono';
import { AiosError } from '../../sdk/errors.ts';
import type { AnyMetrics } from '../../sdk/metrics.ts';
import { toAios } from '../../sdk/metrics-aios.ts';
import { expositionType, type MetricsReader, prometheusText } from '../metrics/index.ts';
import type { GatewayContext, GatewayEnv, GatewayServices } from './context.ts';

function readerOf({ controlPlane }: GatewayServices): MetricsReader {
  if (controlPlane.metrics) return controlPlane.metrics;
  throw new AiosError('UNSUPPORTED', 'this control plane measures nothing.');
}

function answer(c: GatewayContext, what: string, found: AnyMetrics | undefined): Response {
  if (!found) throw new AiosError('NOT_FOUND', `there are no metrics of ${what} (yet).`);
  const format = c.req.query('format') ?? 'own';
  if (format !== 'own' && format !== 'aios') {
    throw new AiosError(
      'REQUEST_INVALID',
      `format is '${format.slice(0, 40)}'; expected 'aios', or nothing for our own names and units.`,
    );
  }
  return c.json(format === 'aios' ? toAios(found) : found);
}

const traceCounters = (exported: number, dropped: number) => [
  {
    name: 'aios_trace_spans_exported_total',
    help: 'Spans that a collector took.',
    value: exported,
  },
  { name: 'aios_trace_spans_dropped_total', help: 'Spans that were given up.', value: dropped },
];

/** `GET /metrics`, for Prometheus: the caller's tenant, text format 0.0.4. */
export function prometheusRoutes(services: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();
  routes.get('/metrics', (c) => {
    const { exported = 0, dropped = 0 } = services.tracer?.counts ?? {};
    const counters = services.tracer ? traceCounters(exported, dropped) : [];
    const text = prometheusText(readerOf(services), c.var.facts.tenant, { counters });
    return c.body(text, 200, { 'content-type': expositionType });
  });
  return routes;
}

/** `GET /metrics/…/{id}` under `/api`: one document; with `?format=aios` as AIOS writes it. */
export function metricRoutes(services: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();
  routes.get('/metrics/cluster/:id', (c) => {
    const { id } = c.req.param();
    return answer(c, `cluster '${id}'`, readerOf(services).cluster(c.var.facts.tenant, id));
  });
  routes.get('/metrics/node/:cluster/:id', (c) => {
    const { cluster, id } = c.req.param();
    const found = readerOf(services).node(c.var.facts.tenant, cluster, id);
    return answer(c, `node '${id}' of cluster '${cluster}'`, found);
  });
  routes.get('/metrics/block/:id', (c) => {
    const { id } = c.req.param();
    return answer(c, `block '${id}'`, readerOf(services).block(c.var.facts.tenant, id));
  });
  routes.get('/metrics/vdag/:id', (c) => {
    const { id } = c.req.param();
    return answer(c, `vDAG '${id}'`, readerOf(services).vdag(c.var.facts.tenant, id));
  });
  return routes;
}
