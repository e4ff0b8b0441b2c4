import { Hono } from 'hono';
import { z } from 'zod';
import { decisionKinds, decisionOutcomes } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { jsonObject, policyUri } from '../../../sdk/spec/common.ts';
import type { DecisionServices } from '../../decision/index.ts';
import { parseRequest } from '../../vdag/index.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayContext, GatewayEnv, GatewayServices } from '../context.ts';

const limit = z.coerce.number().int().min(1).max(1000).optional();
const listQuery = z.strictObject({
  kind: z.enum(decisionKinds).optional(),
  outcome: z.enum(decisionOutcomes).optional(),
  subject: z.string().min(1).max(600).optional(),
  limit,
});
const explainQuery = z.strictObject({
  subject: z.string().min(1).max(600),
  kind: z.enum(decisionKinds).optional(),
  limit,
});
const replayBody = z.strictObject({
  evaluation: z.number().int().nonnegative().optional(),
  with: z
    .strictObject({
      policyRuleURI: policyUri.optional(),
      parameters: jsonObject.optional(),
      settings: jsonObject.optional(),
    })
    .optional(),
});
const shadowBody = z.strictObject({
  hook: z.string(),
  policyRuleURI: policyUri,
  parameters: jsonObject.optional(),
  settings: jsonObject.optional(),
});

/** What was decided and why, decisions made again, and policies tried beside the live ones. */
export function decisionRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();

  function services(): DecisionServices {
    if (controlPlane.decisions) return controlPlane.decisions;
    throw new AiosError('UNSUPPORTED', 'this control plane keeps no decisions.');
  }
  const tenantOf = (c: GatewayContext): string => c.var.facts.tenant;

  routes.get('/decisions', async (c) => {
    const filter = parseRequest('the query', listQuery, c.req.query());
    return c.json(await services().log.list(tenantOf(c), filter));
  });
  routes.get('/decisions/:id', async (c) =>
    c.json(await services().log.get(tenantOf(c), c.req.param('id'))),
  );
  routes.get('/decisions/:id/candidates', async (c) =>
    c.json(await services().candidates(tenantOf(c), c.req.param('id'))),
  );
  routes.post('/decisions/:id/replay', async (c) => {
    const request = parseRequest('the body', replayBody, await readJsonBody(c.req.raw));
    return c.json(await services().replayer.replay(tenantOf(c), c.req.param('id'), request));
  });
  routes.get('/explain', async (c) => {
    const { subject, ...filter } = parseRequest('the query', explainQuery, c.req.query());
    return c.json(await services().log.of(tenantOf(c), subject, filter));
  });

  routes.get('/shadows', (c) => c.json(services().shadows.reports(tenantOf(c))));
  routes.post('/shadows', async (c) => {
    const { hook, policyRuleURI, parameters, settings } = parseRequest(
      'the body',
      shadowBody,
      await readJsonBody(c.req.raw),
    );
    const report = await services().shadows.set(tenantOf(c), hook, {
      policyRuleURI,
      ...(parameters ? { parameters } : {}),
      ...(settings ? { settings } : {}),
    });
    return c.json(report, 201);
  });
  routes.delete('/shadows/:hook', async (c) => {
    await services().shadows.remove(tenantOf(c), c.req.param('hook'));
    return c.body(null, 204);
  });
  return routes;
}
