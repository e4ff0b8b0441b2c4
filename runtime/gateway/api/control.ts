import { Hono } from 'hono';
import { AiosError } from '../../../sdk/errors.ts';
import type { ControlServices } from '../../control-services.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayEnv, GatewayServices } from '../context.ts';

/** The network's policies, pre-checks, nodes, scaling, search and allocation. */
export function controlRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();
  const services = (): ControlServices => {
    if (controlPlane.control) return controlPlane.control;
    throw new AiosError('UNSUPPORTED', 'this control plane asks no policies about that.');
  };

  routes.get('/network', (c) => c.json(services().network(c.var.facts.tenant)));
  routes.put('/network', async (c) =>
    c.json(await services().putNetwork(c.var.facts.tenant, await readJsonBody(c.req.raw))),
  );
  routes.patch('/network', async (c) =>
    c.json(await services().patchNetwork(c.var.facts.tenant, await readJsonBody(c.req.raw))),
  );
  routes.post('/pre-checks/:action', async (c) => {
    const document = await readJsonBody(c.req.raw);
    const action = c.req.param('action');
    return c.json(await services().preCheck(c.var.facts.tenant, action, document));
  });
  routes.post('/clusters/:id/nodes', async (c) => {
    const node = await readJsonBody(c.req.raw);
    return c.json(await services().addNode(c.var.facts.tenant, c.req.param('id'), node), 201);
  });
  routes.delete('/clusters/:id/nodes/:nodeId', async (c) => {
    const { id, nodeId } = c.req.param();
    return c.json(await services().removeNode(c.var.facts.tenant, id, nodeId));
  });
  routes.post('/clusters/:id/nodes/:nodeId/cordon', async (c) => {
    const { id, nodeId } = c.req.param();
    const document = await readJsonBody(c.req.raw);
    return c.json(await services().cordon(c.var.facts.tenant, id, nodeId, document));
  });
  routes.delete('/clusters/:id/nodes/:nodeId/cordon', async (c) => {
    const { id, nodeId } = c.req.param();
    return c.json(await services().uncordon(c.var.facts.tenant, id, nodeId));
  });
  routes.post('/blocks/:id/scale', async (c) => {
    const document = await readJsonBody(c.req.raw);
    return c.json(await services().scale(c.var.facts.tenant, c.req.param('id'), document));
  });
  routes.post('/blocks/:id/autoscale', async (c) =>
    c.json(await services().autoscale(c.var.facts.tenant, c.req.param('id'))),
  );
  routes.post('/search', async (c) =>
    c.json(await services().search(c.var.facts.tenant, await readJsonBody(c.req.raw))),
  );
  routes.post('/allocate', async (c) =>
    c.json(await services().allocate(c.var.facts.tenant, await readJsonBody(c.req.raw))),
  );
  routes.post('/policies/manage', async (c) =>
    c.json(await services().manage(c.var.facts.tenant, await readJsonBody(c.req.raw))),
  );
  routes.post('/policies/call', async (c) =>
    c.json(
      await services().callFunction(
        c.var.facts.tenant,
        await readJsonBody(c.req.raw),
        c.req.raw.signal,
      ),
    ),
  );
  routes.post('/policy-jobs', async (c) =>
    c.json(await services().jobs.submit(c.var.facts.tenant, await readJsonBody(c.req.raw)), 201),
  );
  routes.get('/policy-jobs', async (c) => c.json(await services().jobs.list(c.var.facts.tenant)));
  routes.get('/policy-jobs/:id', async (c) =>
    c.json(await services().jobs.get(c.var.facts.tenant, c.req.param('id'))),
  );
  routes.delete('/policy-jobs/:id', async (c) =>
    c.json(await services().jobs.cancel(c.var.facts.tenant, c.req.param('id'))),
  );
  return routes;
}
