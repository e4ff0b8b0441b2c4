import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost, type PolicyHost } from '../../../runtime/policy/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { policyReference } from '../../../sdk/spec/common.ts';
import { policySpec } from '../../../sdk/spec/policy.ts';

/** Beside the attacks of sandbox.test.ts: each is one policy, asked beside one that is honest. */
type Attack = readonly [name: string, code: string | undefined, evaluate: string, before?: string];

const module = (evaluate: string, before = '') => `${before}
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: 'loadBalancer', parameters: anything, settings: anything,
  evaluate(input, context) { ${evaluate} },
};`;
const honest = module(`return { instanceId: input.instances[0].id };`);
const fine = `return { instanceId: 'a' };`;
/** An answer that gives away what the policy found, so that a test can read it. */
const reveal = (expression: string) => `context.log(String(${expression})); ${fine}`;

const attacks: readonly Attack[] = [
  ['loops in a microtask', undefined, `Promise.resolve().then(() => { for (;;) {} }); ${fine}`],
  [
    'queues microtasks without end',
    undefined,
    `const again = () => Promise.resolve().then(again); again(); ${fine}`,
  ],
  ['loops in an async function', 'POLICY_TIMEOUT', `(async () => { for (;;) {} })(); ${fine}`],
  [
    'loops in a generator',
    'POLICY_TIMEOUT',
    `function* all() { for (;;) yield 1; } for (const one of all()) {} ${fine}`,
  ],
  [
    'spreads an endless iterator',
    'POLICY_TIMEOUT|POLICY_LIMIT_EXCEEDED',
    `return { instanceId: [...{ [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }) }) }] };`,
  ],
  [
    'sorts with a comparison that never ends',
    'POLICY_TIMEOUT',
    `[2, 1].sort(() => { for (;;) {} }); ${fine}`,
  ],
  [
    'loops in toJSON of its answer',
    'POLICY_TIMEOUT',
    `return { instanceId: { toJSON() { for (;;) {} } } };`,
  ],
  [
    'loops in a proxy that is its answer',
    'POLICY_TIMEOUT',
    `return new Proxy({}, { ownKeys() { for (;;) {} } });`,
  ],
  [
    'loops in a getter of its state',
    'POLICY_TIMEOUT',
    `context.state = { get a() { for (;;) {} } }; ${fine}`,
  ],
  [
    'loops in the text of what it logs',
    'POLICY_TIMEOUT',
    `context.log({ toString() { for (;;) {} } }); ${fine}`,
  ],
  [
    'loops where the harness looks for its state',
    'POLICY_TIMEOUT',
    `Object.defineProperty(context, 'state', { get() { for (;;) {} } }); ${fine}`,
  ],
  [
    'fills typed arrays',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW|POLICY_TIMEOUT',
    `const all = []; for (;;) all.push(new Uint8Array(2 ** 24).fill(1));`,
  ],
  [
    'asks for one huge buffer',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `return { instanceId: String(new ArrayBuffer(2 ** 33).byteLength) };`,
  ],
  [
    'repeats a text to two gigabytes',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `return { instanceId: 'x'.repeat(2 ** 31) };`,
  ],
  [
    'pads a text without end',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `return { instanceId: ''.padEnd(2 ** 30, 'xy') };`,
  ],
  [
    'joins a sparse list of four billion',
    'POLICY_LIMIT_EXCEEDED|POLICY_TIMEOUT|POLICY_THREW',
    `const list = []; list.length = 2 ** 32 - 1; return { instanceId: list.join('x') };`,
  ],
  [
    'maps without end',
    'POLICY_LIMIT_EXCEEDED|POLICY_TIMEOUT',
    `const map = new Map(); for (let at = 0; ; at += 1) map.set(at, { at });`,
  ],
  [
    'nests its answer a million deep',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW|POLICY_OUTPUT_INVALID|POLICY_TIMEOUT',
    `let deep = {}; for (let at = 0; at < 1e6; at += 1) deep = { deep }; return deep;`,
  ],
  [
    'recurses through toJSON',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW|POLICY_TIMEOUT',
    `class Deep { toJSON() { return { deep: new Deep() }; } } return new Deep();`,
  ],
  [
    'recurses through getters',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `const it = { get self() { return it.self; } }; return it.self;`,
  ],
  ['calls itself', 'POLICY_LIMIT_EXCEEDED|POLICY_THREW', `return this.evaluate(input, context);`],
  [
    'evaluates a text that recurses',
    'POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `const text = 'eval(text)'; return eval(text);`,
  ],
  [
    'compiles functions without end',
    'POLICY_TIMEOUT|POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `for (let at = 0; ; at += 1) new Function('return ' + 'x'.repeat(1000) + at);`,
  ],
  [
    'parses a huge document of its own',
    'POLICY_TIMEOUT|POLICY_LIMIT_EXCEEDED|POLICY_THREW',
    `return JSON.parse('['.repeat(5e6));`,
  ],
  [
    'backtracks in another way',
    'POLICY_TIMEOUT',
    `return { instanceId: String(/(x+x+)+y/.test('x'.repeat(60))) };`,
  ],
  ['logs without end', 'POLICY_TIMEOUT', `for (;;) context.log('x'.repeat(10000));`],
  [
    'keeps a megabyte',
    'POLICY_LIMIT_EXCEEDED',
    `context.state = { text: 'x'.repeat(2 ** 20) }; ${fine}`,
  ],
  [
    'keeps a circle',
    'POLICY_THREW|POLICY_OUTPUT_INVALID',
    `context.state = {}; context.state.self = context.state; ${fine}`,
  ],
  ['throws undefined', 'POLICY_THREW', `throw undefined;`],
  [
    'throws a proxy',
    'POLICY_THREW',
    `throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } });`,
  ],
  [
    'throws an error that pretends to be a timeout',
    'POLICY_THREW|POLICY_TIMEOUT',
    `const it = new Error('x'); it.message = 'interrupted '; throw it;`,
  ],
  [
    'answers with the harness’s own words',
    'POLICY_OUTPUT_INVALID',
    `return { type: 'answer', output: { instanceId: 'a' }, state: {}, logs: [] };`,
  ],
  [
    'replaces the errors of the language',
    'POLICY_THREW',
    `globalThis.Error = function () { throw 1; }; Error.prototype = null; null.x;`,
  ],
  [
    'replaces how things are iterated',
    undefined,
    fine,
    `Array.prototype[Symbol.iterator] = function* () {}; Map.prototype.get = () => undefined;`,
  ],
  ['replaces how promises go on', undefined, fine, `Promise.prototype.then = () => { throw 1; };`],
  [
    'freezes everything it finds',
    undefined,
    `Object.freeze(globalThis); Object.freeze(Object.prototype); ${fine}`,
  ],
  [
    'deletes the language',
    'POLICY_THREW|POLICY_OUTPUT_INVALID',
    `for (const name of Object.getOwnPropertyNames(globalThis)) { try { delete globalThis[name]; } catch {} } return JSON.parse('{}');`,
  ],
  [
    'waits on shared memory',
    'POLICY_THREW|POLICY_TIMEOUT',
    `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); ${fine}`,
  ],
];

const looks: readonly (readonly [name: string, expression: string, seen: string | RegExp])[] = [
  ['the process', `typeof process`, 'undefined'],
  ['files', `typeof require + typeof module + typeof __dirname`, 'undefinedundefinedundefined'],
  [
    'the network',
    `typeof fetch + typeof XMLHttpRequest + typeof WebSocket`,
    'undefinedundefinedundefined',
  ],
  [
    'timers',
    `typeof setTimeout + typeof setInterval + typeof queueMicrotask`,
    /^undefinedundefined(undefined|function)$/,
  ],
  ['compiled code', `typeof WebAssembly`, 'undefined'],
  [
    'workers and messages',
    `typeof Worker + typeof postMessage + typeof MessageChannel`,
    'undefinedundefinedundefined',
  ],
  ['a clock', `Date.now() === context.now && new Date().getTime() === context.now`, 'true'],
  ['a finer clock', `typeof performance`, 'undefined'],
  ['randomness of its own', `typeof crypto`, 'undefined'],
  [
    'the way out through a constructor',
    `(() => { try { return typeof (() => {}).constructor('return process')(); } catch { return 'undefined'; } })()`,
    'undefined',
  ],
  [
    'the way out through what it is given',
    `(() => { try { return typeof context.log.constructor('return process')(); } catch { return 'undefined'; } })()`,
    'undefined',
  ],
];

const hashOf = (digit: number): string => `sha256:${String(digit).padStart(64, '0')}`;

let sources: Record<string, string> = {};
const host: PolicyHost = await open();
afterAll(() => host.close());

async function open(): Promise<PolicyHost> {
  const store = createMemoryStore();
  const names = [
    ...attacks.map((_, at) => `attack-${at}`),
    ...looks.map((_, at) => `look-${at}`),
    'honest',
  ];
  sources = Object.fromEntries([
    ...attacks.map(([, , evaluate, before], at) => [`attack-${at}`, module(evaluate, before)]),
    ...looks.map(([, expression], at) => [`look-${at}`, module(reveal(expression))]),
    ['honest', honest],
  ]);
  for (const [at, name] of names.entries()) {
    const spec = policySpec.parse({
      ...{ uri: `${name}:1.0.0-stable`, name, version: '1.0.0', releaseTag: 'stable' },
      ...{ hook: 'loadBalancer', artifact: { hash: hashOf(at) } },
    });
    const key = { tenant: 'default', kind: 'policy', id: spec.uri } as const;
    await store.commit([{ type: 'put', ...key, value: spec }]);
  }
  return createPolicyHost({
    builtins: builtinPolicies,
    store,
    loadArtifact: async (hash) => sources[names[Number(hash.slice(7))] ?? ''] ?? '',
  });
}

const ask = (name: string) =>
  host.evaluate({
    ...{ tenant: 'default', hook: 'loadBalancer', action: 'load_balance' },
    ...{ useSite: `block/${name}`, inventoryRevision: 0 },
    reference: policyReference.parse({ policyRuleURI: `${name}:1.0.0-stable` }),
    input: {
      ...{ action: 'load_balance', blockId: 'b', sessionId: 's' },
      instances: [
        { id: 'a', outstandingRequests: 2 },
        { id: 'b', outstandingRequests: 1 },
      ],
    },
  });

/** What a policy that reached this process would have changed. */
const hostState = () =>
  JSON.stringify(
    [Object, Array, Function, String, Error, Promise, Map, JSON, globalThis].map((thing) => [
      Object.getOwnPropertyNames(thing),
      Object.getOwnPropertyNames((thing as { prototype?: object }).prototype ?? {}),
    ]),
  );

describe('a hostile policy', () => {
  let before = '';
  beforeEach(() => {
    before = hostState();
  });

  it('is one of more than forty, those of sandbox.test.ts not counted', () => {
    expect(attacks.length + looks.length).toBeGreaterThan(40);
  });

  it.each(attacks.map(([name], at) => [name, at] as const))(
    'that %s is ended within its limit; an honest one beside it and after it is served',
    async (_, at) => {
      const codes = attacks[at]?.[1];
      const [attacked, beside] = await Promise.all([ask(`attack-${at}`), ask('honest')]);
      const after = await ask('honest');

      const { error, output } = attacked.evaluation;
      expect(error?.code ?? 'none').toMatch(new RegExp(`^(${codes ?? 'none'})$`));
      // Whoever asked got an answer all the same.
      expect(attacked.output).toEqual({ instanceId: codes === undefined ? 'a' : 'b' });
      expect(output).toBeDefined();
      for (const { evaluation } of [beside, after]) {
        expect(evaluation.error).toBeUndefined();
        expect(evaluation.output).toEqual({ instanceId: 'a' });
      }
      expect(hostState()).toBe(before);
    },
    30_000,
  );

  it.each(looks.map(([name, , seen], at) => [name, seen, at] as const))(
    'that looks for %s finds none',
    async (_, seen, at) => {
      const { evaluation } = await ask(`look-${at}`);

      expect(evaluation.error).toBeUndefined();
      expect(evaluation.logs).toEqual([
        typeof seen === 'string' ? seen : expect.stringMatching(seen),
      ]);
    },
  );
});
