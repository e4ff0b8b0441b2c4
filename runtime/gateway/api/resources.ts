import { Hono } from 'hono';
import { z } from 'zod';
import { type ResourceKind, resourceKinds } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayEnv, GatewayServices } from '../context.ts';

const reassignBody = z.strictObject({ reason: z.string().max(1000).default('asked for') });

/** Create, list, get and delete for every kind, and what is asked of blocks and plans beside that. */
export function resourceRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();

  routes.get('/status', async (c) => c.json(await controlPlane.status(c.var.facts.tenant)));

  routes.post('/plans', async (c) => {
    const plan = await readJsonBody(c.req.raw);
    const share = c.req.query('share') !== 'false';
    return c.json(await controlPlane.createPlan(c.var.facts.tenant, plan, { share }), 201);
  });

  routes.post('/instances/:id/reassign', async (c) => {
    const body = reassignBody.safeParse(await readJsonBody(c.req.raw));
    if (!body.success) {
      throw new AiosError('REQUEST_INVALID', 'expected {"reason": "why it is to be elsewhere"}.');
    }
    const { tenant } = c.var.facts;
    const { reason } = body.data;
    return c.json({ moved: await controlPlane.reassign(tenant, c.req.param('id'), reason) });
  });

  for (const [kind, plural] of Object.entries(resourceKinds) as [ResourceKind, string][]) {
    routes.post(`/${plural}`, async (c) => {
      const { tenant } = c.var.facts;
      const document = await readJsonBody(c.req.raw);
      if (kind === 'block' && c.req.query('dryRun') === 'true') {
        return c.json(await controlPlane.dryRunBlock(tenant, document));
      }
      if (kind === 'block' && c.req.query('preview') === 'true') {
        return c.json(await controlPlane.previewBlock(tenant, document));
      }
      const replace = c.req.query('replace') === 'true';
      return c.json(await controlPlane.create(tenant, kind, document, { replace }), 201);
    });
    routes.get(`/${plural}`, async (c) =>
      c.json(await controlPlane.list(c.var.facts.tenant, kind)),
    );
    routes.get(`/${plural}/:id`, async (c) =>
      c.json(await controlPlane.get(c.var.facts.tenant, kind, c.req.param('id'))),
    );
    routes.delete(`/${plural}/:id`, async (c) => {
      await controlPlane.delete(c.var.facts.tenant, kind, c.req.param('id'));
      return c.body(null, 204);
    });
  }

  routes.get('/blocks/:id/explain', async (c) =>
    c.json(await controlPlane.explain(c.var.facts.tenant, c.req.param('id'))),
  );
  return routes;
}
