import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost, type PolicyHost } from '../../../runtime/policy/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { policyReference } from '../../../sdk/spec/common.ts';
import { policySpec } from '../../../sdk/spec/policy.ts';

const hash = `sha256:${'0'.repeat(64)}`;

/** A bundle without a schema library: small, and as strange as a test needs. */
const bundle = (evaluate: string, before = '') => `${before}
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: 'loadBalancer', parameters: anything, settings: anything,
  evaluate(input, context) { ${evaluate} },
};`;

const opened: PolicyHost[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((host) => host.close()));
});

async function open(
  source: string,
  hook = 'loadBalancer',
  extra: object = {},
): Promise<PolicyHost> {
  const store = createMemoryStore();
  const spec = policySpec.parse({
    ...{ uri: 'mine:1.0.0-stable', name: 'mine', version: '1.0.0', releaseTag: 'stable', hook },
    artifact: { hash },
    ...extra,
  });
  await store.commit([
    { type: 'put', tenant: 'default', kind: 'policy', id: spec.uri, value: spec },
  ]);
  const host = createPolicyHost({
    builtins: builtinPolicies,
    store,
    loadArtifact: async () => source,
  });
  opened.push(host);
  return host;
}

const ask = (
  host: PolicyHost,
  policyRuleURI: string | undefined = 'mine:1.0.0-stable',
  parameters = {},
) =>
  host.evaluate({
    ...{
      tenant: 'default',
      hook: 'loadBalancer',
      action: 'load_balance',
      useSite: 'block/b',
      inventoryRevision: 0,
    },
    reference: policyReference.parse({ policyRuleURI, parameters }),
    input: {
      ...{ action: 'load_balance', blockId: 'b', sessionId: 's' },
      instances: [
        { id: 'a', outstandingRequests: 2 },
        { id: 'b', outstandingRequests: 1 },
      ],
    },
  });

async function failure(run: Promise<unknown>): Promise<AiosError> {
  try {
    await run;
  } catch (fault) {
    return AiosError.from(fault);
  }
  throw new Error('expected a failure');
}

describe('an uploaded policy', () => {
  it('runs in the sandbox with parameters, state, a seeded random and a log', async () => {
    const host = await open(
      bundle(`
        context.log('turn ' + (context.state.turn ?? 0) + ' at ' + (context.now === Date.now()));
        context.state = { turn: (context.state.turn ?? 0) + 1 };
        if (context.random() === context.random()) throw new Error('not random');
        return { instanceId: context.parameters.pick ?? input.instances[0].id };
      `),
    );

    const first = await ask(host, 'mine:1.0.0', { pick: 'b' });
    const second = await ask(host);

    expect(first.output).toEqual({ instanceId: 'b' });
    expect(second.output).toEqual({ instanceId: 'a' });
    expect(second.evaluation).toMatchObject({
      ...{ policyHash: hash, stateRevision: 1, logs: ['turn 1 at true'] },
    });
    expect(await host.list('default')).toContainEqual(
      expect.objectContaining({ uri: 'mine:1.0.0-stable', origin: 'uploaded' }),
    );
  });

  it('draws the same numbers from a seed as a policy in this process', async () => {
    const { createRandom } = await import('../../../runtime/policy/random.ts');
    const host = await open(
      bundle(`context.log(context.random() + ' ' + context.random()); return { instanceId: 'a' };`),
    );

    const { evaluation } = await ask(host);

    const random = createRandom(evaluation.seed);
    expect(evaluation.logs).toEqual([`${random()} ${random()}`]);
  });

  const forever = 'for (;;) {}';
  it.each<[string, string, string, string?]>([
    ['loops for ever', 'POLICY_TIMEOUT', forever],
    [
      'loops for ever and catches what stops it',
      'POLICY_TIMEOUT',
      `for (;;) { try { ${forever} } catch {} finally { ${forever} } }`,
    ],
    [
      'loops in a getter of its answer',
      'POLICY_TIMEOUT',
      `return { get instanceId() { ${forever} } };`,
    ],
    [
      'loops in a regular expression',
      'POLICY_TIMEOUT',
      `return { instanceId: String(/^(a+)+$/.test('a'.repeat(60) + 'b')) };`,
    ],
    [
      'allocates without end',
      'POLICY_LIMIT_EXCEEDED',
      `for (const all = []; ; ) all.push('x'.repeat(2 ** 26 + all.length));`,
    ],
    ['builds one huge text', 'POLICY_LIMIT_EXCEEDED', `let text = 'x'; for (;;) text += text;`],
    [
      'recurses without end',
      'POLICY_LIMIT_EXCEEDED',
      `const dive = () => dive() + 1; return dive();`,
    ],
    ['throws', 'POLICY_THREW', `throw new Error('boom');`],
    [
      'throws an error whose message throws',
      'POLICY_THREW',
      `throw Object.defineProperty(new Error(), 'message', { get() { throw 1; } });`,
    ],
    ['returns the wrong shape', 'POLICY_OUTPUT_INVALID', `return { node: 'a' };`],
    ['returns what names nothing', 'POLICY_OUTPUT_INVALID', `return { instanceId: '__proto__' };`],
    ['returns a promise', 'POLICY_OUTPUT_INVALID', `return Promise.resolve({ instanceId: 'a' });`],
    [
      'returns a circle',
      'POLICY_THREW',
      `const circle = {}; circle.circle = circle; return circle;`,
    ],
    ['returns too much', 'POLICY_LIMIT_EXCEEDED', `return { instanceId: 'x'.repeat(5_000_000) };`],
    [
      'returns a state that is none',
      'POLICY_OUTPUT_INVALID',
      `context.state = 5; return { instanceId: 'a' };`,
    ],
    [
      'poisons prototypes',
      'POLICY_OUTPUT_INVALID',
      `return { instanceId: 'a' };`,
      `Object.prototype.toJSON = function () { return undefined; }; Array.prototype.push = () => { throw 1; };`,
    ],
    [
      'replaces what the harness uses',
      'POLICY_OUTPUT_INVALID',
      `return {};`,
      `JSON.stringify = () => '{"type":"answer","output":{"instanceId":"a"},"state":{},"logs":[]}'; JSON.parse = () => null; String = null; Error = null;`,
    ],
    [
      'looks for the host',
      'POLICY_THREW',
      `return { instanceId: typeof process + typeof require + typeof fetch + typeof console + typeof setTimeout === 'undefined'.repeat(5) ? hostOf() : 'a' };`,
    ],
    [
      'imports a module',
      'POLICY_THREW',
      `return { instanceId: 'a' };`,
      `import { readFileSync } from 'node:fs';`,
    ],
    [
      'waits at its top level',
      'POLICY_THREW',
      `return { instanceId: 'a' };`,
      `await new Promise(() => {});`,
    ],
    ['loops while it is loaded', 'POLICY_TIMEOUT', `return { instanceId: 'a' };`, forever],
    ['is no JavaScript', 'POLICY_THREW', `return {{`],
  ])(
    'is stopped and reported, and the request served, when it %s',
    async (_, code, evaluate, before) => {
      const host = await open(bundle(evaluate, before));

      const { output, evaluation } = await ask(host);

      expect(evaluation.error?.code).toBe(code);
      expect(output).toEqual({ instanceId: 'b' });
      // Nobody else notices.
      const builtIn = await ask(host, 'round-robin:1.0.0-stable');
      expect(builtIn.evaluation.error).toBeUndefined();
    },
    20_000,
  );

  it('cannot harm the evaluation after one that went past a limit', async () => {
    const host = await open(
      bundle(`
        if (context.parameters.harm) { Object.prototype.instanceId = 'poison'; for (;;) {} }
        return { instanceId: input.instances[0].id };
      `),
    );

    const harmed = await ask(host, 'mine:1.0.0-stable', { harm: true });
    const next = await ask(host);

    expect(harmed.evaluation.error?.code).toBe('POLICY_TIMEOUT');
    expect(next.evaluation.error).toBeUndefined();
    expect(next.output).toEqual({ instanceId: 'a' });
  });

  it('is not run for a while after going past its limits several times in a row', async () => {
    const host = await open(bundle('const dive = () => dive() + 1; return dive();'));

    const messages: (string | undefined)[] = [];
    for (let at = 0; at < 4; at += 1) messages.push((await ask(host)).evaluation.error?.message);

    expect(messages[0]).toContain('stack');
    expect(messages[3]).toContain('rests');
  });

  it('does not hold up the event loop while it loops', async () => {
    const host = await open(bundle(forever));
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 5);

    await ask(host);
    clearInterval(timer);

    expect(ticks).toBeGreaterThan(3);
  });

  it('of another hook than its document says is refused', async () => {
    const host = await open(bundle(`return {};`).replace('loadBalancer', 'splitPlanner'));

    const { evaluation } = await ask(host);

    expect(evaluation.error).toMatchObject({ code: 'POLICY_OUTPUT_INVALID' });
    expect(evaluation.error?.message).toContain("a policy of hook 'splitPlanner'");
  });

  it('that is not stored any more is reported by name', async () => {
    const store = createMemoryStore();
    const host = createPolicyHost({
      builtins: builtinPolicies,
      store,
      loadArtifact: async () => '',
    });
    opened.push(host);

    expect((await failure(ask(host))).code).toBe('POLICY_NOT_FOUND');
  });

  it('has its parameters checked early by its JSON Schema, patterns left to the sandbox', async () => {
    const parametersSchema = {
      type: 'object',
      properties: { pick: { type: 'string', pattern: '^(a+)+$' }, count: { type: 'integer' } },
      additionalProperties: false,
    };
    const host = await open(bundle(`return { instanceId: 'a' };`), 'loadBalancer', {
      parametersSchema,
    });
    const check = (parameters: Record<string, unknown>) =>
      host.check(
        'default',
        'loadBalancer',
        policyReference.parse({ policyRuleURI: 'mine:1.0.0-stable', parameters }),
      );

    expect(await check({ pick: `${'a'.repeat(60)}b` })).toEqual([]);
    expect(await check({ count: 1.5, pikc: 'a' })).toMatchObject([
      { path: '$.policies.loadBalancer.parameters.pikc', nearest: 'pick' },
      { path: '$.policies.loadBalancer.parameters.count' },
    ]);
  });
});

describe('a policy bundled from TypeScript', () => {
  let source: string;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-policy-'));
    const file = join(folder, 'sticky.ts');
    const root = resolve(import.meta.dirname, '../../..');
    await writeFile(
      file,
      `import { definePolicy } from ${JSON.stringify(join(root, 'sdk/index.ts'))};
import { z } from ${JSON.stringify(join(root, 'node_modules/zod/index.js'))};

export default definePolicy({
  hook: 'loadBalancer', name: 'mine', version: '1.0.0', description: 'Sticks to one.',
  parameters: z.strictObject({ prefix: z.string().regex(/^[ab]$/).default('a') }), settings: z.object({}),
  evaluate({ instances }, { parameters }) {
    const found = instances.find(({ id }) => id.startsWith(parameters.prefix));
    if (parameters.prefix === 'b') throw new Error('no b today');
    return { instanceId: found?.id ?? '' };
  },
});
`,
    );
    const { outputFiles } = await build({
      ...{ entryPoints: [file], bundle: true, format: 'esm', write: false, sourcemap: 'inline' },
      ...{ platform: 'neutral', mainFields: ['module', 'main'], outdir: folder, logLevel: 'error' },
      treeShaking: true,
    });
    source = outputFiles[0]?.text ?? '';
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('runs with the defaults of its own schema', async () => {
    const { output, evaluation } = await ask(await open(source));

    expect(evaluation.error).toBeUndefined();
    expect(output).toEqual({ instanceId: 'a' });
  });

  it('is reported with the line of the author file when it throws', async () => {
    const { evaluation } = await ask(await open(source), 'mine:1.0.0-stable', { prefix: 'b' });

    expect(evaluation.error).toMatchObject({ code: 'POLICY_THREW' });
    expect(evaluation.error?.message).toContain('no b today (sticky.ts:9)');
  });

  it('refuses parameters that its schema refuses, with their path', async () => {
    const error = await failure(
      ask(await open(source), 'mine:1.0.0-stable', { prefix: 'c', extra: 1 }),
    );

    expect(error.code).toBe('SPEC_INVALID');
    expect(error.problems.map(({ path }) => path)).toEqual([
      '$.policies.loadBalancer.parameters.prefix',
      '$.policies.loadBalancer.parameters.extra',
    ]);
  });
});

describe('many uploaded policies', () => {
  it('take turns on few threads; one that throws while another gives way harms nobody', async () => {
    const store = createMemoryStore();
    const uris = Array.from({ length: 12 }, (_, at) => `mine-${at}:1.0.0-stable`);
    await store.commit(
      uris.map((uri, at) => ({
        type: 'put',
        tenant: 'default',
        kind: 'policy',
        id: uri,
        value: policySpec.parse({
          ...{ uri, name: `mine-${at}`, version: '1.0.0', releaseTag: 'stable' },
          hook: 'loadBalancer',
          artifact: { hash: `sha256:${String(at).padStart(64, '0')}` },
        }),
      })),
    );
    const host = createPolicyHost({
      builtins: builtinPolicies,
      store,
      loadArtifact: async (wanted) =>
        bundle(wanted.endsWith('1') ? "throw new Error('no')" : "return { instanceId: 'a' }"),
    });
    opened.push(host);

    const expected = uris.map((_, at) => (at % 10 === 1 ? 'POLICY_THREW' : undefined));
    const inTurn = [];
    for (const uri of uris) inTurn.push((await ask(host, uri)).evaluation.error?.code);
    expect(inTurn).toEqual(expected);
    // A policy that throws at once, beside one for which another has to give way.
    for (const newcomer of uris.slice(0, 4)) {
      await ask(host, uris[11]);
      const [, thrown] = await Promise.all([ask(host, newcomer), ask(host, uris[11])]);
      expect(thrown.evaluation.error?.code).toBe('POLICY_THREW');
    }
  }, 60_000);

  it('cannot fill the log of decisions, whatever they do to the words of the harness', async () => {
    const host = await open(
      bundle(
        "return { instanceId: 'a' };",
        `Object.prototype.toJSON = function () {
          return this.type === 'answer' ? { ...this, logs: Array(5000).fill('x'.repeat(600)) } : this;
        };`,
      ),
    );

    const { evaluation } = await ask(host);

    expect(evaluation.logs.length).toBeLessThanOrEqual(100);
    expect(JSON.stringify(evaluation).length).toBeLessThan(100_000);
  });
});
