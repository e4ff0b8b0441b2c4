import { Hono } from 'hono';
import { z } from 'zod';
import { AiosError } from '../../../sdk/errors.ts';
import { contentHash } from '../../../sdk/ids.ts';
import { parseRequest } from '../../vdag/index.ts';
import { isLoopbackAddress } from '../access.ts';
import { readJsonBody } from '../body.ts';
import type { GatewayContext, GatewayEnv, GatewayServices } from '../context.ts';

const openLinkBody = z.strictObject({ sizeBytes: z.number().int().nonnegative() });
const commitLinkBody = z.strictObject({ hash: z.string() });

const pruneBody = z.strictObject({
  olderThanMs: z.number().nonnegative().optional(),
  dryRun: z.boolean().optional(),
});

/** Code and weights by content hash: sent, or linked into the data directory by a client on this machine. */
export function artifactRoutes({ controlPlane }: GatewayServices): Hono<GatewayEnv> {
  const { artifacts } = controlPlane;
  const routes = new Hono<GatewayEnv>();

  const upkeep = () => {
    if (controlPlane.upkeep) return controlPlane.upkeep;
    throw new AiosError('UNSUPPORTED', 'this control plane removes no artifacts.');
  };

  routes.get('/artifacts', async (c) => c.json(await upkeep().usage()));
  routes.post('/artifacts/prune', async (c) => {
    const body = await readJsonBody(c.req.raw);
    return c.json(await upkeep().prune(parseRequest('the body', pruneBody, body)));
  });

  routes.post('/artifacts/links', async (c) => {
    onlyThisMachine(c);
    const body = await readJsonBody(c.req.raw);
    const { sizeBytes } = parseRequest('the body', openLinkBody, body);
    return c.json(await artifacts.openLink(sizeBytes), 201);
  });

  routes.post('/artifacts/links/:ticket', async (c) => {
    onlyThisMachine(c);
    const body = await readJsonBody(c.req.raw);
    const { hash } = parseRequest('the body', commitLinkBody, body);
    return c.json(await artifacts.commitLink(c.req.param('ticket'), contentHash(hash)), 201);
  });

  // HEAD is answered from GET by Hono; there is no download.
  routes.get('/artifacts/:hash', async (c) => {
    const hash = contentHash(c.req.param('hash'));
    if (!(await artifacts.has(hash))) {
      throw new AiosError('NOT_FOUND', `artifact '${hash}' does not exist.`);
    }
    return c.body(null, 204);
  });

  routes.put('/artifacts/:hash', async (c) => {
    const hash = contentHash(c.req.param('hash'));
    return c.json(await artifacts.write(hash, bytesOf(c.req.raw)), 201);
  });
  return routes;
}

/** The server opens no path that a client names; a client is only told one on the machine they share. */
function onlyThisMachine(c: GatewayContext): void {
  const address = c.env.incoming.socket.remoteAddress;
  if (address !== undefined && isLoopbackAddress(address)) return;
  throw new AiosError(
    'FORBIDDEN',
    'files are linked only by clients on the same machine. Send the bytes: PUT /api/artifacts/{hash}.',
  );
}

async function* bytesOf(request: Request): AsyncGenerator<Uint8Array> {
  if (!request.body) return;
  const reader = request.body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}
