import { describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { type DocumentKind, readDocument, readPlan } from '../../../sdk/spec/index.ts';

const artifact = { hash: `sha256:${'0'.repeat(64)}` };
const paths = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    return AiosError.from(error).problems.map(({ path }) => path);
  }
  return [];
};
const warnings = (kind: DocumentKind, document: unknown): readonly string[] =>
  readDocument(kind, document).warnings.map(({ path }) => path);

describe('a block', () => {
  const plain = { componentUri: 'model.ocr:1.0-rc-1', minInstances: 0, maxInstances: 2 };

  it('in the plain form takes quantities as text', () => {
    const resources = { memoryBytes: '2Gi', cpuCores: 0.5, gpus: [{ memoryBytes: '512Mi' }] };

    const { value } = readDocument('block', { ...plain, id: 'ocr', resources, threads: 2 });

    expect(value).toMatchObject({
      id: 'ocr',
      threads: 2,
      resources: {
        memoryBytes: 2 * 2 ** 30,
        gpus: [{ memoryBytes: 512 * 2 ** 20, exclusive: false }],
      },
    });
  });

  it('may leave its id to us', () => {
    expect(readDocument('block', plain).value.id).toMatch(/^blk-[a-z0-9]{8}$/);
    expect(readDocument('block', plain, { newBlockId: () => 'blk-given' }).value.id).toBe(
      'blk-given',
    );
  });

  it('may mix AIOS names and plain ones, flat', () => {
    const { value } = readDocument('block', {
      blockComponentURI: plain.componentUri,
      minInstances: 1,
      maxInstances: 1,
      resources: { memoryBytes: 1 },
      policies: [{ name: 'loadBalancer', policyRuleURI: 'round-robin:1.0.0-stable' }],
    });

    expect(value.policies.loadBalancer?.policyRuleURI).toBe('round-robin:1.0.0-stable');
  });

  it.each([
    ['a wrapped list', [{ values: { name: 'loadBalancer', policyRuleURI: 'p:v1' } }]],
    ['a flat list', [{ name: 'loadBalancer', policyRuleURI: 'p:v1' }]],
    ['a map', { loadBalancer: { policyRuleURI: 'p:v1' } }],
    ['a map of wrapped entries', { loadBalancer: { values: { policyRuleURI: 'p:v1' } } }],
  ])('reads its policies from %s', (_, policyRulesSpec) => {
    const { value } = readDocument('block', { ...plain, policyRulesSpec });

    expect(value.policies).toEqual({
      loadBalancer: { policyRuleURI: 'p:v1', parameters: {}, settings: {} },
    });
  });

  it('takes an empty policy URI for none, and keeps parameters for the default policy', () => {
    const { value } = readDocument('block', {
      ...plain,
      policies: {
        loadBalancer: { policyRuleURI: '' },
        resourceAllocator: { policyRuleURI: '', parameters: { cpus: 2 } },
      },
    });

    expect(value.policies).toEqual({
      resourceAllocator: { parameters: { cpus: 2 }, settings: {} },
    });
  });

  it('tells what it asks for', () => {
    expect(readDocument('block', { ...plain, mode: 'allocate' }).mode).toBe('allocate');
  });

  it('keeps legacy keys out, with a warning', () => {
    const legacy = {
      parser_version: 'Parser/V1',
      '@templateType': 'template.blocks.generic.blocks_spec:v.0.0.1-beta',
      body: {
        header: { uid: {} },
        spec: {
          values: {
            ...plain,
            apiMode: 'dry_run',
            policyRulesSpec: [
              {
                values: {
                  name: 'loadBalancer',
                  policyRuleURI: 'p:v1',
                  executionMode: 'local',
                  codePath: '',
                },
              },
            ],
          },
        },
      },
    };
    const base = '$.body.spec.values';

    expect([...warnings('block', legacy)].sort()).toEqual([
      '$.@templateType',
      '$.body.header',
      `${base}.apiMode`,
      `${base}.policyRulesSpec[0].values.codePath`,
      `${base}.policyRulesSpec[0].values.executionMode`,
      '$.parser_version',
    ]);
  });
});

describe('a component', () => {
  it('is named by its pieces or by its URI', () => {
    const pieces = { componentType: 'node.algorithm', name: 'yolo', version: 'v0.0.2', artifact };
    const uri = 'node.algorithm.yolo:v0.0.2-stable';

    const byPieces = readDocument('component', pieces).value;
    const byUri = readDocument('component', { uri, artifact }).value;

    expect(byPieces).toEqual(byUri);
    expect(byUri).toMatchObject({ ...pieces, uri, releaseTag: 'stable' });
  });

  it('warns when its own defaults break its own schema', () => {
    const document = {
      uri: 'model.ocr:1-stable',
      artifact,
      parameters: { temperature: 3, temprature: 1 },
      parametersProtocol: {
        type: 'object',
        properties: { temperature: { type: 'number', maximum: 2 } },
      },
    };

    expect(readDocument('component', document).warnings).toMatchObject([
      { path: '$.parameters.temprature', nearest: 'temperature' },
      { path: '$.parameters.temperature' },
    ]);
  });

  it('warns when there is nothing to run', () => {
    expect(warnings('component', { uri: 'model.ocr:1-stable' })).toEqual(['$']);
  });

  it('does not let data among its policies replace its metadata', () => {
    const { value } = readDocument('component', {
      uri: 'model.ocr:1-stable',
      artifact,
      metadata: { affinity: 1 },
      policies: { affinity: { zone: 'a' } },
    });

    expect(value.metadata).toEqual({ affinity: 1 });
  });
});

describe('a vDAG', () => {
  const nodes = [
    { label: 'a', blockId: 'a' },
    { label: 'b', vdagUri: 'inner:1-stable' },
  ];

  it('in the plain form has nodes and edges', () => {
    const { value } = readDocument('vdag', {
      name: 'g',
      version: '1',
      nodes,
      edges: [{ from: 'a', to: 'b' }],
    });

    expect(value).toMatchObject({
      uri: 'g:1-stable',
      edges: [{ from: 'a', to: 'b', outputNames: [] }],
    });
  });

  it.each(['release-tag', 'releaseTag', 'release_tag', 'tag'])('takes the tag from %s', (key) => {
    const document = { vdagName: 'g', vdagVersion: { version: '1', [key]: 'rc' }, nodes };

    expect(readDocument('vdag', document).value.uri).toBe('g:1-rc');
  });

  it('has AIOS’s default version, with a warning', () => {
    const { value, warnings: found } = readDocument('vdag', { vdagName: 'g', nodes });

    expect(value.uri).toBe('g:0.0.1-beta');
    expect(found).toMatchObject([{ path: '$.vdagVersion' }]);
  });

  it('may nest another, which AIOS drops', () => {
    const { value } = readDocument('vdag', {
      vdagName: 'g',
      vdagVersion: { version: '1', 'release-tag': 'stable' },
      nodes: [{ nodeLabel: 'n', nodeType: 'vdag', vdagURI: 'inner:1-stable' }],
    });

    expect(value.nodes).toMatchObject([{ label: 'n', vdagUri: 'inner:1-stable' }]);
  });

  it('keeps the checkers of its controller, which AIOS drops', () => {
    const controller = {
      quotaChecker: { enabled: true, quotaCheckerPolicyRule: { policyRuleURI: 'q:1-stable' } },
      qualityChecker: { enabled: true, framesInterval: 100 },
      healthChecker: { enabled: true, interval: 60, maxRetries: 1 },
    };
    const { value } = readDocument('vdag', {
      vdagName: 'g',
      vdagVersion: { version: '1', 'release-tag': 'stable' },
      nodes: [{ nodeLabel: 'n', nodeType: 'vdag', vdagURI: 'inner:1-stable' }],
      controller,
    });

    expect(value.controller).toEqual(controller);
  });

  it('reads an assignment policy in every nesting', () => {
    const policy = {
      policyRuleURI: 'pick:1-stable',
      parameters: { filterRule: { matchType: 'block' } },
    };
    const forms = [
      policy,
      { values: policy },
      { assignmentType: 'policy', assignmentPolicyRule: { value: policy } },
      { assignmentPolicyRule: { values: policy } },
    ];

    for (const assignmentPolicyRule of forms) {
      const { value } = readDocument('vdag', {
        name: 'g',
        version: '1',
        nodes: [{ label: 'n', assignmentPolicyRule }],
      });
      expect(value.nodes[0]?.assignment).toEqual({ ...policy, settings: {} });
    }
  });

  it('prints the path of a cycle', () => {
    const edges = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ];

    expect(() => readDocument('vdag', { name: 'g', version: '1', nodes, edges })).toThrow(
      /a => b => a|b => a => b/,
    );
  });

  it('accepts declared ends that agree with the edges, as labels or as objects', () => {
    const graph = {
      inputs: ['a'],
      outputs: [{ nodeLabel: 'b', outputNames: ['text'] }],
      connections: [{ nodeLabel: 'b', inputs: [{ nodeLabel: 'a', outputNames: ['text'] }] }],
    };

    const { value } = readDocument('vdag', { name: 'g', version: '1', nodes, graph });

    expect(value.edges).toEqual([{ from: 'a', to: 'b', outputNames: ['text'] }]);
  });

  it.each([
    ['dry-run', 'dryRun'],
    ['validateGraph', 'validateGraph'],
  ])('tells its mode, %s', (mode, expected) => {
    expect(readDocument('vdag', { name: 'g', version: '1', nodes, mode }).mode).toBe(expected);
  });
});

describe('a cluster', () => {
  it('warns of totals that disagree with its nodes', () => {
    const document = {
      id: 'c',
      regionId: 'r',
      nodes: { count: 2, nodesData: [{ id: 'n', vcpus: { count: 4 }, memory: 1024 }] },
      vcpus: { count: 8 },
      memory: 1024,
      gpus: { count: 1, memory: 0 },
    };

    expect([...warnings('cluster', document)].sort()).toEqual([
      '$.gpus.count',
      '$.nodes.count',
      '$.vcpus.count',
    ]);
  });

  it('makes equal devices of a count', () => {
    const gpus = { count: 2, memory: 2048, modelNames: ['A', 'B'] };
    const { value } = readDocument('cluster', {
      id: 'c',
      nodes: { nodeData: [{ id: 'n', vcpus: { count: 4 }, memory: 1024, gpus }] },
    });

    expect(value.nodes[0]?.gpus).toEqual([
      { modelName: 'A', memoryBytes: 2 ** 30 },
      { modelName: 'B', memoryBytes: 2 ** 30 },
    ]);
  });

  it('may be described without nodes', () => {
    expect(warnings('cluster', { id: 'c', nodes: { count: 3 }, memory: 5 })).toEqual(['$.nodes']);
  });

  it('in the plain form takes quantities as text', () => {
    const { value } = readDocument('cluster', {
      id: 'c',
      nodes: [{ id: 'n', memoryBytes: '2Gi', cpuCores: 2, gpus: [{ memoryBytes: '1Gi' }] }],
    });

    expect(value.nodes).toMatchObject([
      { memoryBytes: 2 ** 31, gpus: [{ modelName: 'gpu', memoryBytes: 2 ** 30 }] },
    ]);
  });
});

describe('a policy', () => {
  it('in the plain form', () => {
    const { value } = readDocument('policy', {
      name: 'mine',
      version: '1',
      hook: 'loadBalancer',
      artifact,
    });

    expect(value).toMatchObject({ uri: 'mine:1-stable', artifact: { entry: 'default' } });
  });

  it('under AIOS’s names', () => {
    const { value } = readDocument('policy', {
      name: 'ip.allow',
      version: '1.0',
      release_tag: 'beta',
      tags: 'net, access',
      hook: 'loadBalancer',
      artifact,
      policy_parameters: { limit: 3 },
      policy_parameters_schema: { limit: { type: 'number' } },
      policy_input_schema: {},
    });

    expect(value).toMatchObject({
      uri: 'ip.allow:1.0-beta',
      tags: ['net', 'access'],
      parameters: { limit: 3 },
      parametersSchema: { properties: { limit: { type: 'number' } } },
    });
  });
});

describe('a plan', () => {
  const plan = {
    version: 1,
    model: 'm',
    architecture: 'llama',
    splitter: 's',
    planner: 'p',
    contextTokens: 8,
    maxSessions: 1,
    shards: [
      {
        index: 0,
        folder: 'shard-0',
        firstLayer: 0,
        lastLayer: 0,
        hasEmbedding: true,
        hasHead: true,
        fileBytes: 1,
        residentBytes: 1,
        kvBytes: 1,
      },
    ],
    components: [],
    blocks: [{ id: 'b', componentUri: 'm.s:1-stable', minInstances: 1, maxInstances: 1 }],
    vdag: {
      uri: 'm:1-stable',
      name: 'm',
      version: '1',
      releaseTag: 'stable',
      nodes: [{ label: 'shard-0', blockId: 'b' }],
    },
  };

  it('is read with the documents in it', () => {
    expect(readPlan(plan).vdag.uri).toBe('m:1-stable');
  });

  it('is refused for what is wrong inside them', () => {
    const nodes = [...plan.vdag.nodes, ...plan.vdag.nodes];
    const blocks = [{ ...plan.blocks[0], minInstances: 2 }];

    expect(paths(() => readPlan({ ...plan, blocks, vdag: { ...plan.vdag, nodes } }))).toEqual([
      '$.blocks[0].minInstances',
      '$.vdag.nodes[1].label',
    ]);
    expect(paths(() => readPlan({ ...plan, shards: [] }))).toEqual(['$.shards']);
  });
});
