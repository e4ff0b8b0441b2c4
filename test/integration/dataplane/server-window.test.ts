import { once } from 'node:events';
import { connect } from 'node:http2';
import { expect, it } from 'vitest';
import { serveInstance } from '../../../runtime/dataplane/index.ts';
import { serverWindowBytes } from '../../../runtime/dataplane/server-window.ts';

it('an instance lets its peers send far ahead, in a stream and in all of them', async () => {
  const server = await serveInstance({
    instanceId: 'wide',
    secret: 'ab'.repeat(32),
    handlers: { onLink: () => {}, onAttach: () => {}, infer: async function* () {} },
  });
  const session = connect(`http://${server.address}`);
  try {
    await once(session, 'remoteSettings');
    await new Promise((done) => session.ping(done));

    expect(session.remoteSettings.initialWindowSize).toBe(serverWindowBytes);
    expect(session.state.remoteWindowSize).toBe(serverWindowBytes);
  } finally {
    session.destroy();
    await server.close();
  }
});
