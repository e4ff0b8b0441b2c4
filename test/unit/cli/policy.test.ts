import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../../cli/bundle.ts';
import { difference, readCases } from '../../../cli/policy/cases.ts';
import { lineRanges } from '../../../cli/policy/coverage.ts';
import { decodeMappings } from '../../../cli/policy/source-map.ts';
import { run } from '../../../cli/run.ts';
import { hookNames } from '../../../sdk/hooks.ts';
import { fakeIo } from './harness.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-policy-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function aios(...argv: readonly string[]) {
  const io = fakeIo({ cwd: folder });
  const code = await run(argv, io);
  return { code, out: io.output(), err: io.errors() };
}

const policy = (name: string, body: string): void =>
  writeFileSync(
    join(folder, `${name}.ts`),
    `import { definePolicy } from 'aios-sdk';

export default definePolicy({
  hook: 'loadBalancer',
  name: '${name}',
  version: '1.0.0',
  description: 'For a test.',
  evaluate(input, context) {
${body}
  },
});
`,
  );
const cases = (name: string, list: readonly unknown[]): void =>
  writeFileSync(join(folder, `${name}.cases.json`), JSON.stringify(list));

describe('aios policy new', () => {
  it.each(hookNames)('writes a policy of %s that passes its own cases', async (hook) => {
    const name = `new-${hook}`;

    expect((await aios('policy', 'new', name, '--hook', hook)).code).toBe(0);
    const tested = await aios('policy', 'test', `${name}.ts`, '--json');

    expect(JSON.parse(tested.out)).toMatchObject({ uri: `${name}:1.0.0-dev`, good: true });
    expect(tested.code).toBe(0);
  });

  it('never writes over a file', async () => {
    await aios('policy', 'new', 'twice', '--hook', 'function');
    const before = readFileSync(join(folder, 'twice.ts'), 'utf8');

    const again = await aios('policy', 'new', 'twice', '--hook', 'autoscaler');

    expect(again.code).toBe(4);
    expect(again.err).toContain('ALREADY_EXISTS');
    expect(readFileSync(join(folder, 'twice.ts'), 'utf8')).toBe(before);
  });
});

describe('aios policy test', () => {
  it('names the lines that never ran, and what a failing case saw', async () => {
    policy(
      'branches',
      `    if (input.sessionId === 'special') {
      context.log('special');
      return { instanceId: 'in-2' };
    }
    return { instanceId: 'in-1' };`,
    );
    cases('branches', [
      { name: 'the first', action: 'load_balance', expect: { instanceId: 'in-1' } },
      { name: 'wrong', action: 'load_balance', expect: { instanceId: 'in-2' } },
    ]);

    const { code, out } = await aios('policy', 'test', 'branches.ts');

    expect(code).toBe(5);
    expect(out).toContain(
      "FAIL  wrong\n      $.instanceId: expected 'in-2', got 'in-1'".replaceAll("'", '"'),
    );
    expect(out).toContain('1 of 2 cases passed');
    expect(out).toContain('branches.ts: never ran 10–11');
  });

  it('changes the example, gives state, time and seed, and checks what is kept', async () => {
    policy(
      'stateful',
      `    context.state = { seen: Number(context.state.seen ?? 0) + 1, at: context.now };
    return { instanceId: input.instances[Math.floor(context.random() * 0)]?.id ?? '' };`,
    );
    cases('stateful', [
      {
        name: 'counts',
        action: 'load_balance',
        change: { 'instances[0].id': 'other' },
        ...{ state: { seen: 4 }, now: 12, expectState: { seen: 5, at: 12 } },
        expect: { instanceId: 'other' },
      },
      {
        name: 'names nobody',
        action: 'load_balance',
        input: { blockId: 'b', sessionId: 's', instances: [] },
        expectError: 'POLICY_OUTPUT_INVALID',
      },
    ]);

    const { code, out } = await aios('policy', 'test', 'stateful.ts', '--min-coverage', '100');

    expect(out).toContain('2 of 2 cases passed');
    expect(code).toBe(0);
  });

  it('finds out a policy that is not pure', async () => {
    policy(
      'impure',
      `    return { instanceId: typeof process === 'undefined' ? 'in-1' : 'in-2' };`,
    );
    cases('impure', [{ name: 'once', action: 'load_balance' }]);

    const { code, out } = await aios('policy', 'test', 'impure.ts');

    expect(code).toBe(5);
    expect(out).toContain('answered differently when asked twice');
  });

  it('says every problem of a file of cases, each with its path', () => {
    expect(() =>
      readCases(
        'loadBalancer',
        [
          { name: 'a', action: 'balance' },
          { name: 'b' },
          { name: 'c', action: 'load_balance', change: { 'instances[9].id': 1 } },
        ],
        'x.cases.json',
      ),
    ).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: [
          expect.objectContaining({ path: '$[0].action' }),
          expect.objectContaining({ path: '$[1].action', message: 'is missing' }),
          expect.objectContaining({ path: '$[2].change' }),
        ],
      }),
    );
  });

  it('follows no path into what every object inherits', () => {
    const poisoned = [{ name: 'a', action: 'load_balance', change: { '__proto__.x': 1 } }];

    expect(() => readCases('loadBalancer', poisoned, 'x')).toThrow('leads nowhere');
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });
});

describe('aios policy check', () => {
  it('asks the sandbox, and says what went wrong there', async () => {
    policy('hostless', '    return { instanceId: String(process.pid) };');

    const { code, out } = await aios('policy', 'check', 'hostless.ts');

    expect(code).toBe(5);
    expect(out).toContain('POLICY_THREW');
    expect(out).toMatch(/process/);
  });
});

describe('aios policy', () => {
  it('measures evaluations', async () => {
    policy('quick', `    return { instanceId: input.instances[0]?.id ?? '' };`);

    const { code, out } = await aios('policy', 'bench', 'quick.ts', '--seconds', '0.1', '--json');

    expect(code).toBe(0);
    expect(JSON.parse(out).rows[0].evaluations).toBeGreaterThan(0);
  });

  it('names the nearest of its commands, and lists them', async () => {
    expect((await aios('policy', 'tset')).err).toContain("Did you mean 'policy test'?");
    expect((await aios('policy')).code).toBe(2);
    expect((await aios('policy', '--help')).out).toContain('aios policy publish <file>');
  });
});

describe('how decisions are compared', () => {
  it('objects by the keys that are named, lists whole', () => {
    expect(difference({ a: 1 }, { a: 1, b: 2 })).toBeUndefined();
    expect(difference([1], [1, 2])).toContain('expected 1 elements');
    expect(difference({ a: { b: [1, 2] } }, { a: { b: [1, 3] } })).toContain('$.a.b[1]');
    expect(difference({ a: 1 }, null)).toBeDefined();
  });

  it('line numbers read as ranges', () => {
    expect(lineRanges([3, 7, 8, 9, 12])).toBe('3, 7–9, 12');
  });
});

describe('mappings of a source map', () => {
  it('agree with what Node reads of the same map', async () => {
    policy('mapped', `    return { instanceId: input.instances[0]?.id ?? '' };`);
    const { code } = await bundle(join(folder, 'mapped.ts'), 'policy', { minify: false });
    const encoded = /base64,([A-Za-z0-9+/=]+)\s*$/.exec(Buffer.from(code).toString('utf8'))?.[1];
    const map = JSON.parse(Buffer.from(encoded ?? '', 'base64').toString('utf8'));
    const node = new SourceMap(map);

    const all = [...decodeMappings(map.mappings)];
    const some = all.filter((_, at) => at % 97 === 0);

    expect(some.length).toBeGreaterThan(20);
    for (const { generatedLine, generatedColumn, source, line } of some) {
      expect(node.findEntry(generatedLine, generatedColumn)).toMatchObject({
        originalSource: map.sources[source],
        originalLine: line,
      });
    }
  });
});
