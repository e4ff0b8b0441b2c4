import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { deepFreeze, freezeList } from '../../../runtime/policy/index.ts';
import { Resident } from '../../../runtime/policy/resident.ts';
import { createSandbox, type Sandbox } from '../../../runtime/policy/sandbox.ts';

const source = (evaluate: string) => `
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: 'resourceAllocator', parameters: anything, settings: anything,
  evaluate(input, context) { ${evaluate} },
};`;

let sandbox: Sandbox | undefined;
afterEach(() => sandbox?.close());

function open(evaluate: string): Sandbox {
  sandbox = createSandbox({
    ...{ uri: 'mine:1-x', hook: 'resourceAllocator', entry: 'default' },
    source: source(evaluate),
  });
  return sandbox;
}

const ask = async (to: Sandbox, input: unknown) =>
  (
    await to.run({
      ...{ hook: 'resourceAllocator', input: deepFreeze(input), parameters: {}, settings: {} },
      ...{ state: {}, nowMs: 0, seed: 1, timeLimitMs: 2000 },
    })
  ).output;

const node = (id: number, free: number) =>
  deepFreeze({ id: `node-${id}`, free, gpus: [{ index: 0, modelName: 'a "quoted" name' }] });

describe('nodes that stay in the sandbox', () => {
  it('are the same as if everything had been sent, whatever changes between questions', async () => {
    const echo = open('return JSON.parse(JSON.stringify(input));');
    const change = fc.record({
      at: fc.nat({ max: 19 }),
      free: fc.nat(),
      kind: fc.constantFrom('replace', 'remove', 'add', 'other list'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), async (changes) => {
        let nodes = Array.from({ length: 20 }, (_, id) => node(id, id));
        for (const [step, { at, free, kind }] of changes.entries()) {
          nodes = [...nodes];
          if (kind === 'replace') nodes[at % nodes.length] = node(at, free);
          if (kind === 'remove' && nodes.length > 1) nodes.splice(at % nodes.length, 1);
          if (kind === 'add') nodes.push(node(100 + step, free));
          const list = freezeList([...nodes]);
          const some = freezeList(nodes.filter((_, index) => index % 2 === 0));
          const input = { action: 'dry_run', step, cluster: { id: 'c', nodes: list }, nodes: some };

          expect(await ask(echo, input)).toEqual(JSON.parse(JSON.stringify(input)));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('cannot be changed by a policy for its next question', async () => {
    const to = open(`
      const tries = [
        () => { input.nodes[0].free = 99; },
        () => { input.nodes[0].gpus[0].modelName = 'mine'; },
        () => { input.nodes.push(1); },
        () => { input.nodes[0] = 1; },
        () => { Object.defineProperty(input.nodes[0], 'free', { value: 7 }); },
        () => { Object.setPrototypeOf(input.nodes[0], { extra: 1 }); },
      ];
      let refused = 0;
      for (const one of tries) { try { one(); } catch { refused += 1; } }
      return { refused, first: JSON.parse(JSON.stringify(input.nodes[0])) };
    `);
    const input = { action: 'dry_run', nodes: freezeList([node(1, 5), node(2, 6)]) };
    const first = { id: 'node-1', free: 5, gpus: [{ index: 0, modelName: 'a "quoted" name' }] };

    expect(await ask(to, input)).toEqual({ refused: 6, first });
    expect(await ask(to, { ...input, again: true })).toEqual({ refused: 6, first });
  });

  it('cannot be swapped by a policy that replaced the language', async () => {
    const to = open(`
      Array.isArray = () => false; Object.keys = () => []; Object.freeze = (it) => it;
      Object.defineProperty = () => {}; JSON.parse = () => ({});
      return { count: input.nodes.length, free: input.nodes[0].free };
    `);

    expect(await ask(to, { nodes: freezeList([node(1, 5)]) })).toEqual({ count: 1, free: 5 });
    expect(await ask(to, { nodes: freezeList([node(1, 6), node(2, 7)]) })).toEqual({
      ...{ count: 2, free: 6 },
    });
  });
});

describe('what crosses into the sandbox', () => {
  const inventory = Array.from({ length: 1000 }, (_, id) => node(id, id));

  it('is a hundredth for a question in which one node of a thousand changed', () => {
    const resident = new Resident();
    const characters = (nodes: readonly object[]) =>
      JSON.stringify(resident.encode({ cluster: { nodes }, nodes })).length;
    const whole = characters(freezeList([...inventory]));

    const changed = [...inventory];
    changed[500] = node(500, 1);
    const difference = characters(freezeList(changed));
    const nothing = characters(freezeList([...changed]));

    expect(whole).toBeGreaterThan(50_000);
    expect(difference).toBeLessThan(whole / 100);
    expect(nothing).toBeLessThan(difference);
  });

  it('begins anew when too much is held, and after the sandbox was started again', () => {
    const resident = new Resident();
    const big = () => deepFreeze({ id: 'x', text: 'x'.repeat(2 ** 20) });
    const resets = Array.from({ length: 12 }, () => {
      const { update } = resident.encode({ nodes: freezeList([big()]) });
      return update.reset;
    });
    expect(resets.filter(Boolean).length).toBe(1);

    const list = freezeList([...inventory]);
    resident.encode({ nodes: list });
    resident.clear();
    expect(resident.encode({ nodes: list }).update.nodes).toHaveLength(1000);
  });

  it('leaves lists alone that may still change', () => {
    const { input, update } = new Resident().encode({ nodes: [{ id: 'a' }] });

    expect(input).toEqual({ nodes: [{ id: 'a' }] });
    expect(update.nodes).toEqual([]);
  });
});
