import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TopView } from '../../cli/top/readings.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { type TensorJson, tensorsFromJson, tensorToJson } from '../../sdk/tensor-json.ts';
import { writeDetector, writeEncoder } from '../support/onnx-models.ts';
import { floats, integers, runWhole } from '../support/onnx-split.ts';
import { eventually, System } from '../support/system.ts';
import { parseExposition } from '../unit/metrics/exposition-grammar.ts';
import { Collector } from '../unit/tracing/collector.ts';

let collector: Collector;
let system: System;
const scratch = mkdtempSync(join(tmpdir(), 'aios-graphs-'));

beforeAll(async () => {
  collector = await new Collector().start();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
  Object.assign(process.env, env);
  try {
    system = await System.start();
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
  await system.cluster('west', 6, 600 * 2 ** 20);
});

afterAll(async () => {
  await system?.stop();
  await collector?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** What the first tests leave running. */
const served = new Map<string, { readonly uri: string; readonly tensors: object }>();
const ask = async (name: string, headers: Record<string, string> = {}) => {
  const { uri, tensors } = served.get(name) ?? { uri: '', tensors: {} };
  const response = await fetch(`${system.url}/api/infer/vdag/${encodeURIComponent(uri)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ data: { tensors } }),
  });
  return { status: response.status, text: await response.text() };
};
const partsOf = async (name: string) => {
  const { uri } = served.get(name) ?? { uri: '' };
  const { blocks, vdags } = await system.status();
  const nodes = vdags.find(({ spec }) => spec.uri === uri)?.spec.nodes ?? [];
  return nodes.map(({ blockId }) => blocks.find(({ spec }) => spec.id === blockId));
};

const ids = Array.from({ length: 12 }, (_, index) => (index * 37) % 900);
const cases = {
  encoder: {
    write: () =>
      writeEncoder(join(scratch, 'encoder'), {
        layers: 4,
        hidden: 128,
        heads: 4,
        vocabulary: 1000,
      }),
    inputs: {
      input_ids: integers([1, 12], ids),
      attention_mask: integers(
        [1, 12],
        ids.map(() => 1),
      ),
    },
  },
  detector: {
    write: () => writeDetector(join(scratch, 'detector'), 16),
    inputs: { images: floats([1, 3, 160, 160], (index) => Math.sin(index / 9)) },
  },
};

it.each(Object.entries(cases))(
  'an ONNX %s served in three parts answers as the whole',
  async (name, { write, inputs }) => {
    const { path } = write();
    const folder = join(scratch, `${name}-plan`);
    const plan = await system.json<SplitPlan>('split', path, '--shards', '3', '--out', folder);
    expect(plan.shards.map(({ cut }) => cut?.kind)).toEqual(['exact', 'exact', undefined]);
    const created = await system.json<{ vdagUri: string }>(
      'create-plan',
      folder,
      '--wait',
      '--timeout',
      '30s',
    );

    const tensors = Object.fromEntries(
      Object.entries(tensorsFromJson({ tensors: toJson(inputs) })).map(([key, tensor]) => [
        key,
        tensorToJson(tensor),
      ]),
    );
    const request = join(scratch, `${name}.json`);
    writeFileSync(request, JSON.stringify({ tensors }));
    const answer = await system.json<{ tensors: Record<string, TensorJson> }>(
      'infer',
      'vdag',
      created.vdagUri,
      '--data',
      `@${request}`,
    );

    served.set(name, { uri: created.vdagUri, tensors });
    const whole = await runWhole(path, 'basic', inputs);
    const given = tensorsFromJson(answer);
    expect(Object.keys(given)).toEqual(Object.keys(whole));
    for (const [key, { shape, data }] of Object.entries(whole)) {
      expect(given[key]?.shape).toEqual(shape);
      expect(Buffer.compare(Buffer.from(data), given[key]?.data ?? Buffer.alloc(0))).toBe(0);
    }

    const wrong = await system.aios('infer', 'vdag', created.vdagUri, '--data', '{"tensors":{}}');
    expect(wrong.exitCode).toBe(2);
    expect(wrong.err).toContain(`needs the tensors`);
  },
);

it('each part is seen: in aios top, Prometheus and traces', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const before = (await partsOf('encoder')).map((one) => one?.instances[0]?.counters?.steps ?? 0);
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
  expect((await ask('encoder', { traceparent })).status).toBe(200);

  const shards = () =>
    collector.spans.filter((span) => span.traceId === traceId && span.name === 'shard');
  await eventually('three parts told of the call', () => shards().length === 3);
  const [request] = collector.spans.filter(
    (span) => span.traceId === traceId && span.name.startsWith('POST'),
  );
  const parts = (await partsOf('encoder')).flatMap((one) => one?.instances ?? []);
  const partIds = parts.map(({ id }) => id).sort();
  expect(shards().map(({ parentSpanId }) => parentSpanId)).toEqual(
    Array.from({ length: 3 }, () => request?.spanId),
  );
  expect(
    shards()
      .map(({ attributes }) => attributes['aios.instance'])
      .sort(),
  ).toEqual(partIds);
  for (const { attributes } of shards()) expect(attributes['aios.steps']).toBe('1');

  await eventually('each part has counted the call', async () =>
    (await partsOf('encoder')).every((one, index) => {
      return (one?.instances[0]?.counters?.steps ?? 0) > (before[index] ?? 0);
    }),
  );
  const view = await system.json<TopView>('top', '--interval', '1s');
  const shown = view.shards.filter(({ instanceId }) => partIds.includes(instanceId));
  expect(shown).toHaveLength(3);
  expect(shown[0]).toMatchObject({ openSessions: 0, queuedSteps: 0, slots: 64 });
  const samples = async (name: string) => {
    const families = parseExposition(await (await fetch(`${system.url}/metrics`)).text());
    const all = families.find((family) => family.name === name)?.samples ?? [];
    return all.filter(({ labels }) => partIds.includes(labels.instance ?? ''));
  };
  for (const name of ['steps', 'compute_seconds', 'wait_seconds', 'received_bytes', 'sent_bytes']) {
    await eventually(`all parts have counted ${name}`, async () => {
      const values = await samples(`aios_shard_${name}_total`);
      return values.length === 3 && values.every(({ value }) => value > 0);
    });
  }
  expect(await samples('aios_shard_kv_tokens')).toEqual([]);
});

it('a part that is killed in a stream of calls is replaced, and every call is answered as before', async () => {
  const { text: expected } = await ask('detector');
  const [, middle] = await partsOf('detector');
  const victim = middle?.instances[0];
  const calls = 60;
  let next = 0;
  const answers: { readonly status: number; readonly text: string }[] = [];
  const stream = async () => {
    while (next < calls) {
      next += 1;
      if (next === 15) process.kill(victim?.pid ?? 0, 'SIGKILL');
      answers.push(await ask('detector'));
    }
  };
  await Promise.all(Array.from({ length: 6 }, stream));

  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  expect(answers).toHaveLength(calls);
  expect(new Set(answers.map(({ text }) => text))).toEqual(new Set([expected]));
  const [, replaced] = await partsOf('detector');
  expect(replaced?.instances.map(({ id }) => id)).not.toContain(victim?.id);
});

const toJson = (inputs: Record<string, ReturnType<typeof floats>>) =>
  Object.fromEntries(
    Object.entries(inputs).map(([key, { dtype, shape, data }]) => [
      key,
      { dtype, shape, data: Buffer.from(data).toString('base64') },
    ]),
  );
