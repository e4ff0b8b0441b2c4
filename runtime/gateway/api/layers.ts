import { Hono } from 'hono';
import { AiosError } from '../../../sdk/errors.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayEnv, GatewayServices } from '../context.ts';

/** Parts of models that run, and what is noted of them. */
export function layerRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();
  const layers = () => {
    if (controlPlane.layers) return controlPlane.layers;
    throw new AiosError('UNSUPPORTED', 'this control plane keeps no registry of layers.');
  };

  routes.get('/layers', async (c) => c.json(await layers().list(c.var.facts.tenant)));
  routes.post('/layers', async (c) =>
    c.json(await layers().register(c.var.facts.tenant, await readJsonBody(c.req.raw)), 201),
  );
  routes.get('/layers/:hash', async (c) =>
    c.json(await layers().get(c.var.facts.tenant, c.req.param('hash'))),
  );
  routes.delete('/layers/:hash', async (c) => {
    await layers().forget(c.var.facts.tenant, c.req.param('hash'));
    return c.body(null, 204);
  });
  return routes;
}
