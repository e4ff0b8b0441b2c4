import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  componentDocument,
  defineBlock,
  defineComponent,
  defineInitContainer,
  definePolicy,
  defineSplitter,
  defineVdag,
  readDocument,
} from '../../../sdk/index.ts';

const block = defineBlock({
  input: z.object({ text: z.string() }),
  output: z.object({ text: z.string() }),
  settings: z.object({ language: z.string().default('en'), depth: z.number() }),
  onData: ({ data }) => ({ text: data.text.toUpperCase() }),
});
const identity = { componentType: 'service', name: 'shout', version: '1.0.0' };
const artifact = { hash: `sha256:${'0'.repeat(64)}` };
const refused = (code: string) => expect.objectContaining({ code });

describe('defineComponent', () => {
  it('gives a frozen component with its URI and its block', () => {
    const component = defineComponent({ ...identity, block, settings: { depth: 2 } });

    expect(component).toMatchObject({
      type: 'component',
      uri: 'service.shout:1.0.0-stable',
      block,
    });
    expect(Object.isFrozen(component)).toBe(true);
  });

  it('gives a document that reads as itself, with the block’s schemas', () => {
    const document = componentDocument(defineComponent({ ...identity, block }), artifact);

    const { value, warnings } = readDocument('component', document);

    expect(warnings).toEqual([]);
    expect(value).toMatchObject({
      artifact: { ...artifact, entry: 'default' },
      inputProtocol: {
        type: 'object',
        properties: { text: { type: 'string' } },
        required: ['text'],
      },
      settingsProtocol: { properties: { language: { default: 'en' } }, required: ['depth'] },
    });
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  it('may leave settings to the block’s document, but not misspell them', () => {
    expect(defineComponent({ ...identity, block, settings: { language: 'de' } })).toBeTruthy();
    expect(() => defineComponent({ ...identity, block, settings: { langauge: 'de' } })).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: [expect.objectContaining({ path: '$.settings.langauge', nearest: 'language' })],
      }),
    );
  });

  it('needs a block or a container, one of them', () => {
    const container = { image: 'shout:1' };

    expect(defineComponent({ ...identity, container }).container?.mode).toBe('aios');
    expect(() => defineComponent(identity)).toThrow(refused('SPEC_INVALID'));
    expect(() => defineComponent({ ...identity, container, block })).toThrow(
      refused('SPEC_INVALID'),
    );
  });

  it('refuses a name that makes no URI', () => {
    expect(() => defineComponent({ ...identity, name: 'not a name', block })).toThrow(
      refused('SPEC_INVALID'),
    );
  });
});

describe('defineVdag', () => {
  it('gives the document of a graph', () => {
    const vdag = defineVdag({
      name: 'pose',
      version: '1',
      nodes: {
        detect: { block: 'detector' },
        track: { vdag: 'tracker:1-stable' },
        draw: { assignment: { policyRuleURI: 'pick:1-stable' } },
      },
      edges: [['detect', 'track'], { from: 'track', to: 'draw', outputNames: ['boxes'] }],
    });

    expect(vdag).toMatchObject({
      type: 'vdag',
      uri: 'pose:1-stable',
      labels: ['detect', 'track', 'draw'],
      spec: {
        nodes: [
          { label: 'detect', blockId: 'detector' },
          { label: 'track', vdagUri: 'tracker:1-stable' },
          { label: 'draw', assignment: { policyRuleURI: 'pick:1-stable' } },
        ],
        edges: [{ outputNames: [] }, { outputNames: ['boxes'] }],
      },
    });
    expect(readDocument('vdag', vdag.spec).value).toEqual(vdag.spec);
  });

  it('refuses a cycle with its path', () => {
    const nodes = { a: { block: 'a' }, b: { block: 'b' } };

    expect(() =>
      defineVdag({
        name: 'g',
        version: '1',
        nodes,
        edges: [
          ['a', 'b'],
          ['b', 'a'],
        ],
      }),
    ).toThrow(refused('VDAG_CYCLE'));
  });

  it('refuses what the document reader refuses', () => {
    expect(() =>
      defineVdag({ name: 'g', version: '1', nodes: { a: { block: 'Not An Id' } } }),
    ).toThrow(refused('SPEC_INVALID'));
    expect(() => defineVdag({ name: 'g', version: '1', nodes: {} })).toThrow(
      refused('SPEC_INVALID'),
    );
  });
});

describe('the other definitions', () => {
  it('a policy has a URI, and knows its hook', () => {
    const policy = definePolicy({
      hook: 'loadBalancer',
      name: 'first',
      version: '1.0.0',
      description: 'Always the first instance.',
      parameters: z.object({}),
      settings: z.object({}),
      evaluate: ({ instances }) => ({ instanceId: instances[0]?.id ?? '' }),
    });

    expect(policy.uri).toBe('first:1.0.0-stable');
    expect(() => definePolicy({ ...policy, hook: 'loadBalencer' } as never)).toThrow(
      refused('SPEC_INVALID'),
    );
    expect(() => definePolicy({ ...policy, name: 'a b' })).toThrow(refused('SPEC_INVALID'));
  });

  it('a policy may leave out the schemas of what it does not take', () => {
    const { parameters, settings } = definePolicy({
      hook: 'loadBalancer',
      name: 'first',
      version: '1',
      description: 'Always the first instance.',
      evaluate: ({ instances }) => ({ instanceId: instances[0]?.id ?? '' }),
    });

    expect(parameters.safeParse({}).success).toBe(true);
    expect(settings.safeParse({}).success).toBe(true);
  });

  it('a policy says all that is wrong with it at once', () => {
    const wrong = { hook: 'loadBalencer', name: 7, parameters: {}, settings: 3 };

    expect(() => definePolicy(wrong as never)).toThrow(
      expect.objectContaining({
        code: 'SPEC_INVALID',
        problems: [
          expect.objectContaining({ path: '$.hook', nearest: 'loadBalancer' }),
          expect.objectContaining({ path: '$.name', seen: '7' }),
          expect.objectContaining({ path: '$.version' }),
          expect.objectContaining({ path: '$.description' }),
          expect.objectContaining({ path: '$.parameters', seen: '{}' }),
          expect.objectContaining({ path: '$.settings', seen: '3' }),
          expect.objectContaining({ path: '$.evaluate' }),
        ],
      }),
    );
  });

  it('a block needs onData, an init container and a splitter their stages', () => {
    expect(() => defineBlock({ ...block, onData: undefined as never })).toThrow(
      refused('SPEC_INVALID'),
    );
    expect(() => defineInitContainer({ begin: () => null } as never)).toThrow(
      refused('SPEC_INVALID'),
    );
    expect(() => defineSplitter({ name: 's' } as never)).toThrow(refused('SPEC_INVALID'));
  });
});
