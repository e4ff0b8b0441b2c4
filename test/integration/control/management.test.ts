import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { run } from '../../../cli/run.ts';
import { builtinPolicies } from '../../../policies/index.ts';
import type { Gateway } from '../../../runtime/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { fakeIo } from '../../unit/cli/harness.ts';
import { DecidingPlane, obedientPolicies, told } from './deciding.ts';
import { bundle, tenant } from './plane.ts';

/** What `management` does in every policy of this file. */
const remember = `(action, data, context) => {
  if (action === 'show') return { kept: context.state, rate: context.parameters.rate };
  if (action === 'fail') throw new Error('cannot ' + action);
  context.state = { ...context.state, [action]: data };
  context.log('told ' + action);
  return { before: action };
}`;

const checker = definePolicy({
  hook: 'stabilityChecker',
  name: 'attentive',
  version: '1.0.0',
  description: 'Remembers what it is told.',
  parameters: z.object({ rate: z.number().default(1) }),
  settings: z.object({ check_interval_sec: z.number().default(3600) }),
  evaluate: () => ({ actions: [] }),
  actions: { cluster: () => ({ stable: true, cordon: [] }) },
  management(action, data, context) {
    if (action === 'show') return { kept: context.state, rate: context.parameters.rate };
    context.state = { ...context.state, [action]: data };
    return null;
  },
});

/** As an author publishes it: it runs in the sandbox. */
const uploaded = `
import { definePolicy } from 'aios-sdk';
import { z } from 'zod';
export default definePolicy({
  hook: 'loadBalancer', name: 'sticky', version: '1.0.0', description: 'Remembers what it is told.',
  parameters: z.object({ rate: z.number().default(1) }),
  evaluate: ({ instances }, { state }) => ({ instanceId: String(state.pin ?? instances[0].id) }),
  actions: {
    estimate: ({ instances }, { state }) => ({ waitMs: Number(state.wait ?? 7), queued: instances.length }),
    check_execute: ({ inputs }) => inputs.pages > 10 ? { accept: false, reason: 'too long' } : { accept: true },
  },
  management: ${remember},
});`;

const counter = `
import { definePolicy } from 'aios-sdk';
import { z } from 'zod';
export default definePolicy({
  hook: 'function', name: 'counter', version: '1.0.0', description: 'Counts.', execution: 'function',
  input: z.object({ by: z.number() }), output: z.object({ count: z.number() }),
  evaluate({ input }, context) {
    const count = (context.state.count ?? 0) + input.by;
    context.state = { count };
    return { output: { count } };
  },
  management: (action, data, context) => { context.state = { count: 0 }; return 'zero'; },
});`;

class ManagedPlane extends DecidingPlane {
  override up(): Promise<this> {
    const policies = [...builtinPolicies, ...obedientPolicies(this.asked), checker];
    return Object.getPrototypeOf(DecidingPlane.prototype).up.call(this, { policies });
  }

  async publish(source: string, name: string, hook: string, more: object = {}): Promise<void> {
    const hash = await this.upload(await bundle(source));
    const uri = `${name}:1.0.0-stable`;
    await this.api.create(tenant, 'policy', { uri, hook, artifact: { hash }, ...more });
  }
}

let plane: ManagedPlane;
let gateway: Gateway;
beforeEach(async () => {
  plane = await new ManagedPlane().up();
  await plane.simulate();
  gateway = await plane.serve();
});
afterEach(async () => {
  await gateway.close();
  await plane.remove();
});

const manage = (document: unknown) => plane.control.manage(tenant, document);
async function aios(...words: string[]) {
  const io = fakeIo({ env: { AIOS_URL: gateway.url, NO_COLOR: '1' } });
  const code = await run(words, io);
  return { code, out: io.output(), err: io.errors() };
}

describe('a command to a policy', () => {
  test('reaches the sandboxed policy of a block, changes what it keeps, and is recorded', async () => {
    await plane.publish(uploaded, 'sticky', 'loadBalancer');
    const loadBalancer = { policyRuleURI: 'sticky:1.0.0-stable', parameters: { rate: 3 } };
    await plane.api.create(tenant, 'block', plane.box('ocr', { policies: { loadBalancer } }));
    const target = 'block/ocr';

    const told = await manage({ target, hook: 'loadBalancer', command: 'wait', data: 40 });
    expect(told).toMatchObject({
      ...{ policyUri: 'sticky:1.0.0-stable', stateChanged: true },
      ...{ result: { before: 'wait' }, logs: ['told wait'] },
    });
    const shown = await manage({ target, hook: 'loadBalancer', command: 'show' });
    expect(shown).toMatchObject({ stateChanged: false, result: { kept: { wait: 40 }, rate: 3 } });
    // What it keeps is what its evaluations see.
    expect(await manage({ target, hook: 'loadBalancer', command: 'estimate' })).toMatchObject({
      result: { waitMs: 40 },
    });
    const [latest, , first] = await plane.decisions('management');
    expect(first).toMatchObject({ subject: 'block/ocr', outcome: 'changed' });
    expect(latest).toMatchObject({ outcome: 'answered' });

    await gateway.close();
    await plane.down();
    await plane.up();
    expect(await manage({ target, hook: 'loadBalancer', command: 'show' })).toMatchObject({
      result: { kept: { wait: 40 } },
    });
  });

  test('of AIOS’s form reaches a block’s policy by service, and a cluster’s without any block', async () => {
    await plane.api.create(tenant, 'cluster', {
      ...{ id: 'watched', backend: 'simulated', nodes: [] },
      policies: { stabilityChecker: { policyRuleURI: 'attentive:1.0.0-stable' } },
    });
    const header = { templateUri: 'Parser/V1', parameters: {} };
    const values = (more: object) => ({ header, body: { spec: { values: more } } });
    const told = { service: 'stability_checker', mgmtCommand: 'note', mgmtData: { a: 1 } };
    expect(await manage(values({ blockId: '', clusterId: 'watched', ...told }))).toMatchObject({
      ...{ target: 'cluster/watched', hook: 'stabilityChecker', stateChanged: true },
    });
    const show = { clusterId: 'watched', service: 'stability', mgmtCommand: 'show' };
    expect(await manage(show)).toMatchObject({ result: { kept: { note: { a: 1 } }, rate: 1 } });

    await expect(manage({ ...show, service: 'instances' })).rejects.toMatchObject({
      code: 'SPEC_INVALID',
      problems: [{ path: '$.service', expected: expect.stringContaining('autoscaler') }],
    });
    await expect(manage(values({ ...told }))).rejects.toMatchObject({
      problems: [{ path: '$.body.spec.values.blockId' }],
    });
  });

  test('passes the pre-checks, which may rewrite or refuse it', async () => {
    const policies = { stabilityChecker: { policyRuleURI: 'attentive:1.0.0-stable' } };
    await plane.api.create(tenant, 'block', plane.box('ocr', { policies }));
    const checks = (parameters: object) => ({
      preChecks: { block_mgmt: { policyRuleURI: told('told-check'), parameters } },
    });
    const note = { target: 'block/ocr', hook: 'stabilityChecker', command: 'note', data: 1 };
    await plane.control.patchNetwork(tenant, checks({ merge: { data: 2 } }));
    await manage(note);
    await plane.control.patchNetwork(tenant, checks({ refuse: 'hands off' }));
    await expect(manage(note)).rejects.toMatchObject({
      code: 'ADMISSION_DENIED',
      message: expect.stringContaining('hands off'),
    });
    await plane.control.patchNetwork(tenant, { preChecks: { block_mgmt: null } });
    expect(await manage({ ...note, command: 'show' })).toMatchObject({
      result: { kept: { note: 2 } },
    });
  });

  test.each([
    [{ target: 'block/none', hook: 'autoscaler', command: 'x' }, 'NOT_FOUND', "block 'none'"],
    [
      { target: 'cluster/sim', hook: 'stabilityChecker', command: 'x' },
      'NOT_FOUND',
      'no policy at',
    ],
    [{ target: 'network', hook: 'preCheck.add_block', command: 'x' }, 'NOT_FOUND', 'add_block'],
    [{ target: 'network', hook: 'preCheck', command: 'x' }, 'SPEC_INVALID', 'names no one policy'],
    [{ target: 'cluster/sim', hook: 'ranking', command: 'x' }, 'SPEC_INVALID', 'keeps nothing at'],
    [{ target: 'elsewhere', hook: 'ranking', command: 'x' }, 'SPEC_INVALID', 'target'],
    [{ target: 'block/ocr', hook: 'autoscaler' }, 'SPEC_INVALID', 'command'],
    [{ target: 'function/same-output:1.0.0-stable', command: 'x' }, 'UNSUPPORTED', 'management'],
    [{ target: 'function/none:1.0.0-stable', command: 'x' }, 'POLICY_NOT_FOUND', 'none'],
    [
      { target: 'function/bin-pack:1.0.0-stable', command: 'x' },
      'SPEC_INVALID',
      'resourceAllocator',
    ],
  ])('%j is refused as %s', async (document, code, said) => {
    await expect(manage(document)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(said),
    });
  });
});

describe('from the command line', () => {
  test('a deployed function is called, told, and called again', async () => {
    const input = { type: 'object', properties: { by: { type: 'number' } }, required: ['by'] };
    const more = { execution: 'faas', inputSchema: input };
    await plane.publish(counter, 'counter', 'function', more);
    const uri = 'counter:1.0.0-stable';

    expect(await aios('policy', 'call', uri, '--data', '{"by": 2}')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('"count": 2') },
    });
    expect((await aios('policy', 'call', uri, '--data', '{"by": 3}')).out).toContain('"count": 5');
    const wrong = await aios('policy', 'call', uri, '--data', '{"to": 3}');
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('by') });
    const told = await aios('policy', 'manage', `function/${uri}`, 'reset');
    expect(told).toMatchObject({ code: 0, out: expect.stringMatching(/"zero"[\s\S]*changed/) });
    expect((await aios('policy', 'call', uri, '--data', '{"by": 1}')).out).toContain('"count": 1');
    const many = await aios('policy', 'manage', `function/${uri}`, 'now', 'reset');
    expect(many).toMatchObject({ code: 2, err: expect.stringContaining('<command>') });
  });

  test('a load balancer says how long a request would wait, and whether it is taken', async () => {
    await plane.publish(uploaded, 'sticky', 'loadBalancer');
    const loadBalancer = { policyRuleURI: 'sticky:1.0.0-stable' };
    await plane.api.create(tenant, 'block', plane.box('ocr', { policies: { loadBalancer } }));

    expect(await aios('estimate', 'ocr')).toMatchObject({
      ...{ code: 0, out: expect.stringContaining('"waitMs":7') },
    });
    const long = await aios('estimate', 'ocr', '--data', '{"pages": 40}', '--json');
    expect(JSON.parse(long.out)).toEqual({ accept: false, reason: 'too long' });
  });
});
