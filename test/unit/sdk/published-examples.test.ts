import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkBlockAgainstComponent } from '../../../sdk/protocol.ts';
import { type DocumentKind, readDocument } from '../../../sdk/spec/index.ts';
import { mebibyte } from '../../../sdk/units.ts';

const folder = new URL('../../../examples/specs/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
const load = (file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
const kindOf = (file: string) => /-(\w+)\.json$/.exec(file)?.[1] as DocumentKind;

const envelopes: readonly [string, (values: unknown) => unknown, string][] = [
  ['bare', (values) => values, '$'],
  [
    'under head',
    (values) => ({
      head: { templateUri: 'Parser/V1', parameters: {} },
      body: { spec: { values } },
    }),
    '$.body.spec.values',
  ],
  [
    'under header',
    (values) => ({ header: { templateUri: 'Parser/V1' }, body: { spec: { values } } }),
    '$.body.spec.values',
  ],
  ['without a header', (values) => ({ body: { values } }), '$.body.values'],
  ['as values alone', (values) => ({ values }), '$.values'],
];

/** Warnings of each file, as paths below the document itself. */
const expectedWarnings: Readonly<Record<string, readonly string[]>> = {
  'mistral-component.json': ['.policies.resource_affinity'],
  'mistral-block.json': [],
  'yolo-component.json': ['.policies.resource_affinity'],
  'yolo-block.json': [],
  'vllm-component.json': [],
  'vllm-block.json': [],
  'vllm-init-container-component.json': [],
  'west-vision-cluster.json': ['.config.actionsPolicyMap'],
  'pose-estimator-vdag.json': [
    '.@templateType',
    '.nodes[0].IOMap',
    '.nodes[0].spec.values.preprocessingPolicyRule.values.executionMode',
    '.nodes[0].spec.values.postprocessingPolicyRule.values.executionMode',
    '.nodes[1].@templateType',
    '.nodes[1].IOMap',
    '.nodes[1].spec.values.assignmentPolicyRule.assignmentType',
    '.nodes[1].spec.values.assignmentPolicyRule.assignmentPolicyRule.values.executionMode',
    '.nodes[1].spec.values.assignmentPolicyRule',
    '.nodes[1].spec.values.preprocessingPolicyRule.values.executionMode',
    '.nodes[1].spec.values.preprocessingPolicyRule.values',
    '.nodes[1].spec.values.postprocessingPolicyRule.values.executionMode',
    '.graph.connections[0].inputs[0].outputNames',
    '.controller',
  ],
};

describe('AIOS’s published examples are accepted unchanged', () => {
  it('and every file is one of them', () => {
    expect(Object.keys(expectedWarnings).sort()).toEqual([...files].sort());
  });

  describe.each(envelopes)('%s', (_, wrap, base) => {
    it.each(files)('%s', (file) => {
      const bare = readDocument(kindOf(file), load(file));

      const { value, warnings } = readDocument(kindOf(file), wrap(load(file)));

      expect(value).toEqual(bare.value);
      expect(warnings.map(({ path }) => path).sort()).toEqual(
        (expectedWarnings[file] ?? []).map((path) => base + path).sort(),
      );
    });
  });

  it.each(files)('%s gives a document that reads as itself', (file) => {
    const { value } = readDocument(kindOf(file), load(file));

    expect(readDocument(kindOf(file), JSON.parse(JSON.stringify(value))).value).toEqual(value);
  });
});

describe('what the published examples say is understood', () => {
  it('a component: identity, image, protocols, data among its policies', () => {
    const { value } = readDocument('component', load('mistral-component.json'));

    expect(value).toMatchObject({
      uri: 'model.mistral7b-chat:2.0.0-stable',
      container: { image: expect.stringContaining('mistral7b-aios:2.0.0'), mode: 'aios' },
      metadata: { framework: 'Transformers', resource_affinity: { minMemory: '24GB' } },
      parametersProtocol: { properties: { temperature: { minimum: 0, maximum: 2 } } },
      parameters: { temperature: 0.7 },
      policies: {},
    });
  });

  it('nested field schemas become JSON Schemas', () => {
    const { value } = readDocument('component', load('yolo-component.json'));

    expect(value.inputProtocol).toMatchObject({
      properties: {
        roi: {
          type: 'object',
          required: ['x1', 'y1', 'x2', 'y2'],
          properties: { x2: { minimum: 1 } },
        },
      },
    });
    expect(value.outputProtocol).toMatchObject({
      properties: { detections: { items: { properties: { bbox: { maxItems: 4 } } } } },
    });
  });

  it('an init container, spelt as the documentation spells it', () => {
    const { value } = readDocument('component', load('vllm-init-container-component.json'));

    expect(value.container).toMatchObject({
      mode: 'third_party',
      initContainer: { image: expect.stringContaining('vLLM-deployer') },
    });
  });

  it('a block: its policies by hook, tagless URIs included', () => {
    const { value, mode } = readDocument('block', load('yolo-block.json'));

    expect(mode).toBeUndefined();
    expect(value).toMatchObject({
      id: 'detector-yolo-88',
      componentUri: 'model.object-detector:2.0.0-stable',
      minInstances: 1,
      maxInstances: 5,
      settings: { batch_size: 4 },
      policies: {
        clusterAllocator: { policyRuleURI: 'policy.clusterAllocator.yolo-cluster-selector:v1' },
        resourceAllocator: { parameters: { min_gpu_free_memory: 5000 } },
        autoscaler: { policyRuleURI: 'policy.autoscaler.gpu-based-autoscaler:v0.0.01' },
      },
    });
  });

  it('a vDAG: nodes, the edge between them, an empty policy URI as none', () => {
    const { value } = readDocument('vdag', load('pose-estimator-vdag.json'));

    expect(value).toMatchObject({
      uri: 'pose-estimator:0.0.1-stable',
      tags: ['objedet'],
      edges: [{ from: 'obj-det-1', to: 'tracker-0', outputNames: [] }],
    });
    expect(value.nodes.map(({ label, blockId }) => [label, blockId])).toEqual([
      ['obj-det-1', 'object-det-1'],
      ['tracker-0', 'tracker-122'],
    ]);
    expect(value.nodes[0]?.preprocessing).toBeUndefined();
    expect(value.nodes[1]?.preprocessing?.policyRuleURI).toBe(
      'policies.assignment.sample:v1-stable',
    );
    expect(value.nodes[1]?.assignment).toBeUndefined();
  });

  it('a cluster: megabytes become bytes, and the totals agree', () => {
    const { value } = readDocument('cluster', load('west-vision-cluster.json'));

    expect(value).toMatchObject({
      id: 'cluster-west-vision-001',
      status: 'live',
      reputation: 94,
      metadata: { vendor: 'dma-bangalore' },
    });
    expect(value.nodes).toMatchObject([
      {
        memoryBytes: 131072 * mebibyte,
        cpuCores: 32,
        gpus: [{ memoryBytes: 16384 * mebibyte }, {}],
      },
      { memoryBytes: 65536 * mebibyte, cpuCores: 16, gpus: [{ modelName: 'NVIDIA V100' }] },
    ]);
  });
});

describe('values outside the component’s own schemas are warnings', () => {
  it.each([
    ['mistral', ['$.initSettings.timeout_ms']],
    ['vllm', ['$.initSettings.timeout_ms']],
    [
      'yolo',
      [
        '$.initSettings.timeout_ms',
        '$.parameters.confidence_threshold',
        '$.parameters.nms_threshold',
      ],
    ],
  ])('%s', (name, paths) => {
    const component = readDocument('component', load(`${name}-component.json`)).value;
    const block = readDocument('block', load(`${name}-block.json`));

    const warnings = checkBlockAgainstComponent(block.value, component, block.locate);

    expect(warnings.map(({ path }) => path).sort()).toEqual(paths);
  });
});
