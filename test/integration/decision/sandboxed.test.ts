import { afterEach, expect, it } from 'vitest';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { policySpec } from '../../../sdk/spec/policy.ts';
import { ask, type Bench, decide, openBench } from '../../unit/decision/support.ts';

const uri = 'mine:1.0.0-stable';
const question = { hook: 'loadBalancer', action: 'load_balance', uri } as const;
const hashOf = (digit: number): string => `sha256:${String(digit).repeat(64)}`;

/** A bundle without a schema library. */
const bundle = (evaluate: string) => `
const anything = { safeParse: (data) => ({ success: true, data }) };
export default {
  type: 'policy', hook: 'loadBalancer', parameters: anything, settings: anything,
  evaluate(input, context) { ${evaluate} },
};`;

let bench: Bench;
afterEach(() => bench.close());

async function open(sources: Readonly<Record<string, string>>) {
  const store = createMemoryStore();
  bench = await openBench({
    store,
    host: {
      loadArtifact: async (hash) => {
        const source = sources[hash];
        if (source === undefined) throw new AiosError('NOT_FOUND', 'no such artifact.');
        return source;
      },
    },
  });
  const key = { tenant: 'default', kind: 'policy', id: uri } as const;
  const publish = (hash: string) => {
    const value = policySpec.parse({
      ...{ uri, name: 'mine', version: '1.0.0', releaseTag: 'stable', hook: 'loadBalancer' },
      artifact: { hash },
    });
    return store.commit([{ ...key, type: 'put', value }]);
  };
  return { ...bench, publish, unpublish: () => store.commit([{ ...key, type: 'delete' }]) };
}

it('an uploaded policy decides the same again, with its seed, time and state', async () => {
  const source = bundle(`
    const asked = (context.state.asked ?? 0) + 1;
    context.state = { asked };
    context.log('asked ' + asked + ' at ' + context.now);
    const at = Math.floor((context.random() + Math.random()) * 1e6) + asked;
    return { instanceId: input.instances[at % input.instances.length].id };`);
  const { host, log, replayer, store, publish } = await open({ [hashOf(1)]: source });
  await publish(hashOf(1));
  const ids: string[] = [];
  for (let at = 0; at < 5; at += 1) ids.push(decide(log, await ask(host, question)));

  for (const id of ids) {
    const { same, evaluations } = await replayer.replay('default', id);
    expect(evaluations[0]?.differences).toEqual([]);
    expect(same).toBe(true);
  }
  await host.close();
  const [state] = await store.list<{ version: number }>('default', 'policy-state');
  expect(state?.value.version).toBe(5);
});

it('is run as it was, also after its document was replaced or deleted', async () => {
  const first = bundle('return { instanceId: input.instances[0].id };');
  const last = bundle('return { instanceId: input.instances.at(-1).id };');
  const { host, log, replayer, publish, unpublish } = await open({
    [hashOf(1)]: first,
    [hashOf(2)]: last,
  });
  await publish(hashOf(1));
  const id = decide(log, await ask(host, question));

  await publish(hashOf(2));
  expect(await replayer.replay('default', id)).toMatchObject({
    same: true,
    evaluations: [{ codeChanged: false, replayed: { policyHash: hashOf(1) } }],
  });
  expect(await replayer.replay('default', id, { with: { policyRuleURI: uri } })).toMatchObject({
    same: false,
    evaluations: [{ differences: [{ path: '$.instanceId' }] }],
  });
  await unpublish();
  expect(await replayer.replay('default', id)).toMatchObject({ same: true });
});

it('says so where the code itself is gone', async () => {
  const sources: Record<string, string> = {
    [hashOf(1)]: bundle('return { instanceId: input.instances[0].id };'),
  };
  const { host, log, replayer, publish, unpublish } = await open(sources);
  await publish(hashOf(1));
  const id = decide(log, await ask(host, question));
  delete sources[hashOf(1)];

  await unpublish();
  await expect(replayer.replay('default', id)).rejects.toMatchObject({ code: 'POLICY_NOT_FOUND' });
});

it('that loops may be replayed time and again, and live answers do not wait for it', async () => {
  const source = bundle(`
    if (input.sessionId === 'loop') for (;;);
    return { instanceId: input.instances[0].id };`);
  const { host, log, replayer, publish } = await open({ [hashOf(1)]: source });
  await publish(hashOf(1));
  const instances = [{ id: 'a', outstandingRequests: 0 }];
  const input = { action: 'load_balance', blockId: 'b', sessionId: 'loop', instances };
  const evaluation = await ask(host, { ...question, input });
  expect(evaluation.error?.code).toBe('POLICY_TIMEOUT');
  const id = decide(log, evaluation);

  for (let at = 0; at < 4; at += 1) await replayer.replay('default', id).catch(() => undefined);

  const live = await ask(host, question);
  expect(live.error).toBeUndefined();
});
