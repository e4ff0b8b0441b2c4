import { Hono } from 'hono';
import { AiosError } from '../../../sdk/errors.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayContext, GatewayEnv, GatewayServices } from '../context.ts';

/** Models that are split by the control plane. Clients name models by id; the operator says where those lie. */
export function splitTaskRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();
  const tasks = () => {
    if (controlPlane.splits) return controlPlane.splits;
    throw new AiosError('UNSUPPORTED', 'this control plane splits no models.');
  };
  const tenantOf = (c: GatewayContext): string => c.var.facts.tenant;

  routes.get('/model-folders', async (c) => c.json(await tasks().models()));
  routes.post('/split-tasks', async (c) =>
    c.json(await tasks().submit(tenantOf(c), await readJsonBody(c.req.raw)), 201),
  );
  routes.get('/split-tasks', async (c) => c.json(await tasks().list(tenantOf(c))));
  routes.get('/split-tasks/:id', async (c) =>
    c.json(await tasks().get(tenantOf(c), c.req.param('id'))),
  );
  routes.get('/split-tasks/:id/logs', async (c) =>
    c.json({ lines: await tasks().lines(tenantOf(c), c.req.param('id')) }),
  );
  routes.get('/split-tasks/:id/plan', async (c) =>
    c.json(await tasks().plan(tenantOf(c), c.req.param('id'))),
  );
  routes.post('/split-tasks/:id/retry', async (c) =>
    c.json(await tasks().retry(tenantOf(c), c.req.param('id'))),
  );
  routes.delete('/split-tasks/:id', async (c) =>
    c.json(await tasks().cancel(tenantOf(c), c.req.param('id'))),
  );
  return routes;
}
