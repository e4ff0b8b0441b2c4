import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { Json } from '../../../sdk/packet.ts';
import { policyReference } from '../../../sdk/spec/common.ts';
import { readDocument } from '../../../sdk/spec/index.ts';
import { bundle, failure, Hosted, HttpExecutor, tenant } from './executing.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(...executors: ConstructorParameters<typeof Hosted>): Hosted {
  const hosted = new Hosted(...executors);
  cleanups.push(() => hosted.host.close());
  return hosted;
}

const add = bundle(
  'function',
  `const sum = (value) => typeof value === 'number' ? value : Object.values(value).reduce((all, one) => all + sum(one), 0);
   return { output: sum(input.input) + context.parameters.by };`,
);
// The first call of each function starts its thread, which a busy machine takes a while for.
const unhurried = { timeLimitMs: 60_000 };
const graphOf = (nodes: object[], edges: [string, string][], more: object = unhurried) => ({
  execution: { type: 'graph', nodes, edges: edges.map(([from, to]) => ({ from, to })), ...more },
});
const node = (label: string, policyRuleURI: string, by = 0) => ({
  ...{ label, policyRuleURI },
  parameters: { by },
});

describe('a graph of functions', () => {
  it('hands answers along its edges, by label where several meet', async () => {
    const hosted = open();
    const uri = await hosted.publish('add', {}, add);
    const echo = 'same-output:1.0.0-stable';
    const graph = await hosted.publish(
      'diamond',
      graphOf(
        [
          node('a', uri, 1),
          node('b', uri, 10),
          node('c', uri, 100),
          { label: 'd', policyRuleURI: echo },
        ],
        [
          ['a', 'b'],
          ['a', 'c'],
          ['b', 'd'],
          ['c', 'd'],
        ],
      ),
    );

    expect((await hosted.call(graph, 5)).output).toEqual({ b: 16, c: 106 });
  });

  it('is what a plain walk over it says, whatever its shape', async () => {
    const hosted = open();
    const uri = await hosted.publish('add', {}, add);
    let made = 0;
    const shapes = fc.array(fc.array(fc.nat({ max: 11 }), { maxLength: 3 }), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(shapes, fc.integer({ min: -9, max: 9 }), async (sources, input) => {
        // Node i reads from earlier ones; the last one joins what nobody reads.
        const labels = sources.map((_, at) => `n${at}`);
        const reads = sources.map((from, at) => [...new Set(from.filter((one) => one < at))]);
        const read = new Set(reads.flat());
        reads.push(labels.flatMap((_, at) => (read.has(at) ? [] : [at])));
        const nodes = [...labels, 'end'];
        const edges = reads.flatMap((from, at) =>
          from.map((one): [string, string] => [`n${one}`, nodes[at] ?? '']),
        );
        made += 1;
        const graph = await hosted.publish(
          `graph-${made}`,
          graphOf(
            nodes.map((label, at) => node(label, uri, at)),
            edges,
          ),
        );
        const value = (at: number): number =>
          (reads[at]?.length ? reads[at].reduce((all, one) => all + value(one), 0) : input) + at;

        expect((await hosted.call(graph, input)).output).toBe(value(nodes.length - 1));
      }),
      { numRuns: 40 },
    );
  });

  it('runs branches side by side', async () => {
    let arrived = 0;
    let both: () => void;
    const together = new Promise<void>((resolve) => (both = resolve));
    // Each answers only once the other is there too.
    const executor = new HttpExecutor(async ({ body }) => {
      arrived += 1;
      if (arrived === 2) both();
      await together;
      return { success: true, data: { output: (body.input_data as { input: Json }).input } };
    });
    const endpoint = await executor.start();
    cleanups.push(() => executor.stop());
    const hosted = open([endpoint]);
    const execution = { type: 'remote', executor: 'python', timeLimitMs: 20_000 };
    const far = await hosted.publish('far', { execution });
    const graph = await hosted.publish(
      'both',
      graphOf(
        [
          { label: 'l', policyRuleURI: far },
          { label: 'r', policyRuleURI: far },
          { label: 'end', policyRuleURI: 'same-output:1.0.0-stable' },
        ],
        [
          ['l', 'end'],
          ['r', 'end'],
        ],
        { timeLimitMs: 30_000 },
      ),
    );
    expect((await hosted.call(graph, 'x')).output).toEqual({ l: 'x', r: 'x' });
  });

  it('ends with the first that fails, and says which', async () => {
    const hosted = open();
    const broken = await hosted.publish(
      'broken',
      {},
      bundle('function', `throw new Error('oops');`),
    );
    const graph = await hosted.publish(
      'failing',
      graphOf(
        [node('fine', 'same-output:1.0.0-stable'), node('bad', broken), node('end', broken)].map(
          ({ parameters: _, ...rest }) => rest,
        ),
        [
          ['fine', 'end'],
          ['bad', 'end'],
        ],
      ),
    );
    expect(await failure(hosted.call(graph))).toMatchObject({
      code: 'POLICY_THREW',
      message: expect.stringMatching(/node 'bad' of graph 'failing.*oops/),
    });
  });

  it('ends the other branches with the one that fails', async () => {
    let hungUp: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      hungUp = resolve;
    });
    const executor = new HttpExecutor((_asked, response) => void response.once('close', hungUp));
    const endpoint = await executor.start();
    cleanups.push(() => executor.stop());
    const hosted = open([endpoint]);
    const patient = { timeLimitMs: 600_000 };
    const far = await hosted.publish('far', {
      execution: { type: 'remote', executor: 'python', ...patient },
    });
    const loop = await hosted.publish(
      'loop',
      { execution: { type: 'local', ...patient } },
      bundle('function', 'for (;;);'),
    );
    const late = bundle(
      'function',
      `for (let i = 0, x = 0; i < 5e5; i += 1) x += i; throw new Error('oops');`,
    );
    const broken = await hosted.publish('broken', {}, late);
    const labels = { far, loop, broken, end: 'same-output:1.0.0-stable' };
    const graph = await hosted.publish(
      'failing',
      graphOf(
        Object.entries(labels).map(([label, policyRuleURI]) => ({ label, policyRuleURI })),
        ['far', 'loop', 'broken'].map((from): [string, string] => [from, 'end']),
        patient,
      ),
    );

    expect(await failure(hosted.call(graph))).toMatchObject({
      code: 'POLICY_THREW',
      message: expect.stringContaining("node 'broken'"),
    });
    await left;
  });

  it('is over once nobody waits for it', async () => {
    const hosted = open();
    const patient = { timeLimitMs: 600_000 };
    const loop = await hosted.publish(
      'loop',
      { execution: { type: 'local', ...patient } },
      bundle('function', 'for (;;);'),
    );
    const graph = await hosted.publish(
      'endless',
      graphOf([{ label: 'a', policyRuleURI: loop }], [], patient),
    );
    const controller = new AbortController();
    const { signal } = controller;
    const running = hosted.call(graph, {}, { asJob: true, ...patient, signal });
    setTimeout(() => controller.abort(), 200);

    expect(await failure(running)).toMatchObject({ code: 'CANCELLED' });
    expect(await failure(hosted.call(graph, {}, { asJob: true, signal }))).toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('does not wait for a busy function for longer than it may, nor is the call made then', async () => {
    const hosted = open();
    const count = bundle(
      'function',
      `if (input.input === 'loop') for (;;);
       const n = (context.state.n ?? 0) + 1; context.state = { n }; return { output: n };`,
    );
    const execution = { type: 'function', timeLimitMs: 1500 };
    const shared = await hosted.publish('shared', { execution }, count);
    const graph = await hosted.publish(
      'asking',
      graphOf([{ label: 'a', policyRuleURI: shared }], [], { timeLimitMs: 50 }),
    );
    expect((await hosted.call(shared)).output).toBe(1);
    let isBusy = true;
    const busy = failure(hosted.call(shared, 'loop')).then((fault) => {
      isBusy = false;
      return fault;
    });

    expect(await failure(hosted.call(graph))).toMatchObject({
      code: 'POLICY_TIMEOUT',
      message: expect.stringMatching(/node 'a'.*did not come to it within/),
    });
    expect(isBusy).toBe(true);
    expect(await busy).toMatchObject({ code: 'POLICY_TIMEOUT' });
    expect((await hosted.call(shared)).output).toBe(2);
  });

  it('has one deadline for all of it', async () => {
    const hosted = open();
    const slow = await hosted.publish('slow', {}, bundle('function', 'for (;;);'));
    const graph = await hosted.publish(
      'late',
      graphOf([{ label: 'a', policyRuleURI: slow }], [], { timeLimitMs: 100 }),
    );
    expect(await failure(hosted.call(graph))).toMatchObject({
      code: 'POLICY_TIMEOUT',
      message: expect.stringContaining("node 'a'"),
    });
  });

  it('checks what each function takes and gives', async () => {
    const hosted = open();
    const text = await hosted.publish('text', { inputSchema: { type: 'string' } }, add);
    const graph = await hosted.publish('typed', graphOf([node('a', text)], []));
    expect(await failure(hosted.call(graph, 7))).toMatchObject({
      message: expect.stringMatching(/node 'a'.*is not what it takes/),
    });
    const giving = await hosted.publish('giving', { outputSchema: { type: 'string' } }, add);
    const given = await hosted.publish('given', graphOf([node('a', giving)], []));
    expect(await failure(hosted.call(given, 7))).toMatchObject({
      code: 'POLICY_OUTPUT_INVALID',
      message: expect.stringMatching(/node 'a'.*document does not allow/),
    });
    const whole = await hosted.publish('whole', {
      ...graphOf([node('a', await hosted.publish('add', {}, add))], []),
      outputSchema: { type: 'string' },
    });
    expect(await failure(hosted.call(whole, 7))).toMatchObject({ code: 'POLICY_OUTPUT_INVALID' });
  });

  it('stands in another one, four deep, each node with a state of its own', async () => {
    const hosted = open();
    const count = bundle(
      'function',
      'const n = (context.state.n ?? 0) + 1; context.state = { n }; return { output: n };',
    );
    let inner = await hosted.publish('count', {}, count);
    for (let depth = 1; depth <= 4; depth += 1) {
      const nodes = [
        { label: 'a', policyRuleURI: inner },
        { label: 'b', policyRuleURI: inner },
        { label: 'end', policyRuleURI: 'same-output:1.0.0-stable' },
      ];
      inner = await hosted.publish(
        `deep-${depth}`,
        graphOf(
          nodes,
          [
            ['a', 'end'],
            ['b', 'end'],
          ],
          { timeLimitMs: 30_000 },
        ),
      );
    }
    const leaves = (value: Json): Json[] =>
      typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [value];

    expect(leaves((await hosted.call(inner)).output)).toEqual(Array(16).fill(1));
    await hosted.restart();
    expect(leaves((await hosted.call(inner)).output)).toEqual(Array(16).fill(2));
    const fifth = await hosted.publish(
      'fifth',
      graphOf([{ label: 'a', policyRuleURI: inner }], []),
    );
    expect(await failure(hosted.call(fifth))).toMatchObject({ code: 'POLICY_LIMIT_EXCEEDED' });
  });

  it('keeps a state for each node, and deployed functions keep their own', async () => {
    const hosted = open();
    const count = bundle(
      'function',
      'const n = (context.state.n ?? 0) + 1; context.state = { n }; return { output: n };',
    );
    const own = await hosted.publish('own', {}, count);
    const shared = await hosted.publish('shared', { execution: 'function' }, count);
    const nodes = [
      { label: 'a', policyRuleURI: own },
      { label: 'b', policyRuleURI: shared },
      { label: 'end', policyRuleURI: 'same-output:1.0.0-stable' },
    ];
    const edges: [string, string][] = [
      ['a', 'end'],
      ['b', 'end'],
    ];
    const one = await hosted.publish('one', graphOf(nodes, edges));
    const two = await hosted.publish('two', graphOf(nodes, edges));

    expect((await hosted.call(one)).output).toEqual({ a: 1, b: 1 });
    expect((await hosted.call(two)).output).toEqual({ a: 1, b: 2 });
    await hosted.restart();
    expect((await hosted.call(one)).output).toEqual({ a: 2, b: 3 });
    expect((await hosted.call(shared)).output).toBe(4);
  });

  it('that calls itself is stopped', async () => {
    const hosted = open();
    const self = 'self:1.0.0-stable';
    await hosted.publish('self', graphOf([{ label: 'again', policyRuleURI: self }], []));
    expect(await failure(hosted.call(self))).toMatchObject({
      code: 'POLICY_LIMIT_EXCEEDED',
      message: expect.stringContaining('Does it call itself?'),
    });
  });

  it('that calls graphs that call graphs ends at a bound, however wide', async () => {
    const hosted = open();
    const wide = (uri: string) =>
      Array.from({ length: 40 }, (_, at) => ({ label: `n${at}`, policyRuleURI: uri }));
    const end = { label: 'end', policyRuleURI: 'same-output:1.0.0-stable' };
    let inner = 'same-output:1.0.0-stable';
    for (const name of ['g3', 'g2', 'g1']) {
      const edges = wide(inner).map(({ label }): [string, string] => [label, 'end']);
      const limit = { timeLimitMs: 600_000 };
      inner = await hosted.publish(name, graphOf([...wide(inner), end], edges, limit));
    }
    expect(await failure(hosted.call(inner))).toMatchObject({
      code: 'POLICY_LIMIT_EXCEEDED',
      message: expect.stringContaining('call more than 1000 functions'),
    });
  });

  it('decides at any hook, and takes no commands', async () => {
    const hosted = open();
    const whole = bundle('function', 'return { output: { firstLayers: [0] } };');
    const uncut = await hosted.publish('uncut', {}, whole);
    const uri = await hosted.publish('by-graph', {
      hook: 'splitPlanner',
      ...graphOf([{ label: 'a', policyRuleURI: uncut }], [], {}),
    });
    const reference = { policyRuleURI: uri as never, parameters: {}, settings: {} };
    const asked = { tenant, hook: 'splitPlanner' as const, useSite: 'split', reference };
    const { output } = await hosted.host.evaluate({
      ...{ ...asked, action: 'plan' as const, inventoryRevision: 0 },
      input: structuredClone(exampleInputs.splitPlanner.plan),
    });
    expect(output).toEqual({ firstLayers: [0] });
    const managing = hosted.host.manage({ ...asked, command: { action: 'reset', data: {} } });
    expect(await failure(managing)).toMatchObject({ code: 'UNSUPPORTED' });
  });

  it.each(['ranking', 'preCheck', 'autoscaler'] as const)(
    'decides at %s what its last function says, and nothing that the hook does not allow',
    async (hook) => {
      const hosted = open();
      const [[action = '', input] = []] = Object.entries(exampleInputs[hook]);
      const ask = async (policyRuleURI?: string) => {
        const { output, evaluation } = await hosted.host.evaluate({
          ...{ tenant, hook, action: action as never, input: input as never, useSite: 'x' },
          ...(policyRuleURI ? { reference: policyReference.parse({ policyRuleURI }) } : {}),
          inventoryRevision: 0,
        });
        return { output: output as unknown, error: evaluation.error };
      };
      const { output } = await ask();
      const saying = async (name: string, said: unknown) => {
        const source = bundle('function', `return { output: ${JSON.stringify(said)} };`);
        const policyRuleURI = await hosted.publish(`${name}-says`, {}, source);
        return hosted.publish(name, { hook, ...graphOf([{ label: 'a', policyRuleURI }], [], {}) });
      };

      expect(await ask(await saying('same', output))).toEqual({ output, error: undefined });
      const wrong = await ask(await saying('other', { unheard: 1 })).catch(AiosError.from);
      const code = wrong instanceof AiosError ? wrong.code : wrong.error?.code;
      expect(code).toBe('POLICY_OUTPUT_INVALID');
    },
  );
});

describe('a document of a graph', () => {
  const read =
    (execution: object, more: object = {}) =>
    () =>
      readDocument('policy', { uri: 'g:1.0.0-stable', hook: 'function', execution, ...more });
  const f = 'same-output:1.0.0-stable';

  it('is refused with all that is wrong with it', () => {
    const execution = {
      type: 'graph',
      nodes: [
        { label: 'a', policyRuleURI: f },
        { label: 'a', policyRuleURI: f },
        { label: 'b', policyRuleURI: f },
      ],
      edges: [
        { from: 'a', to: 'nowhere' },
        { from: 'a', to: 'b' },
        { from: 'a', to: 'b' },
      ],
    };
    expect(read(execution)).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: expect.arrayContaining(
          ['$.execution.nodes[1].label', '$.execution.edges[0].to', '$.execution.edges[2]'].map(
            (path) => expect.objectContaining({ path }),
          ),
        ),
      }),
    );
  });

  it.each([
    [
      'a cycle',
      [
        ['a', 'b'],
        ['b', 'a'],
      ],
      'the graph has a cycle: ',
    ],
    ['two ends', [], '2 ends (a, b)'],
  ])('with %s is refused', (_, edges, said) => {
    const nodes = ['a', 'b'].map((label) => ({ label, policyRuleURI: f }));
    const given = edges.map(([from, to]) => ({ from, to }));
    expect(read({ type: 'graph', nodes, edges: given })).toThrow(said);
  });

  it.each([
    ['an unknown type', { execution: 'grahp' }, /one of: local, remote, job, function, graph/],
    [
      'code that would not run',
      {
        execution: { type: 'remote', executor: 'x' },
        artifact: { hash: `sha256:${'0'.repeat(64)}` },
      },
      /is not run/,
    ],
    ['no code', { execution: 'job' }, /is missing/],
    [
      'a limit at another hook',
      { hook: 'ranking', execution: { type: 'remote', executor: 'x', timeLimitMs: 5 } },
      /its own limit/,
    ],
  ])('with %s is refused', (_, document, said) => {
    const read = () =>
      readDocument('policy', { uri: 'g:1.0.0-stable', hook: 'function', ...document });
    expect(read).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([
          expect.objectContaining(
            said.source.startsWith('one')
              ? { expected: expect.stringMatching(said) }
              : { message: expect.stringMatching(said) },
          ),
        ]),
      }),
    );
  });

  it.each([
    ['code', 'local'],
    ['central', 'remote'],
    ['faas', 'function'],
  ])("AIOS's name '%s' means %s", (name, type) => {
    const artifact = { hash: `sha256:${'0'.repeat(64)}` };
    const execution = name === 'central' ? { type: name, executor: 'x' } : name;
    const { value } = readDocument('policy', {
      ...{ uri: 'g:1.0.0-stable', hook: 'function', execution },
      ...(name === 'central' ? {} : { artifact }),
    });
    expect(value.execution.type).toBe(type);
  });
});
