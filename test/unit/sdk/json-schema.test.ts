import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ids } from '../../../sdk/index.ts';
import { documentKinds, documentSchema, type PublishedKind } from '../../../sdk/json-schema.ts';
import { type DocumentKind, readDocument } from '../../../sdk/spec/index.ts';

const hash = `sha256:${'0'.repeat(64)}`;

/** A document of each kind that has every kind of value in it. */
const valid: Readonly<Record<DocumentKind, Record<string, unknown>>> = {
  component: {
    componentType: 'model',
    name: 'ocr',
    version: '1',
    artifact: { hash },
    parameters: {},
    policies: { loadBalancer: { policyRuleURI: 'p:v1', parameters: {} } },
    tags: ['a'],
  },
  block: {
    id: 'ocr',
    componentUri: 'model.ocr:1-stable',
    minInstances: 1,
    maxInstances: 2,
    resources: { memoryBytes: '2Gi', cpuCores: 1, gpus: [{ memoryBytes: 5, exclusive: true }] },
    threads: 1,
    policies: { loadBalancer: { settings: {} } },
    tags: [],
  },
  vdag: {
    name: 'g',
    version: '1',
    nodes: [{ label: 'a', blockId: 'a' }],
    edges: [],
    generation: {
      files: [{ name: 'tokenizer.json', hash, sizeBytes: 3 }],
      contextTokens: 8,
      vocabularySize: 8,
      endTokenIds: [0],
      stages: ['a'],
    },
    controller: {},
  },
  cluster: {
    id: 'West_1',
    regionId: 'r',
    nodes: [
      { id: 'n', memoryBytes: '1 GB', cpuCores: 0.5, gpus: [{ modelName: 'A', memoryBytes: 1 }] },
    ],
    reputation: 1,
    status: 'live',
  },
  policy: { name: 'p', version: '1', hook: 'loadBalancer', artifact: { hash, entry: 'default' } },
};
const kinds = Object.keys(valid) as DocumentKind[];

const ajv = new Ajv2020({ strict: false });
const published = new Map(kinds.map((kind) => [kind, ajv.compile(documentSchema(kind))]));

function isRead(kind: DocumentKind, document: unknown): boolean {
  try {
    readDocument(kind, document);
    return true;
  } catch {
    return false;
  }
}

/** Every place inside a document, as keys from its root. */
function placesOf(value: unknown, here: readonly PropertyKey[] = []): (readonly PropertyKey[])[] {
  if (typeof value !== 'object' || value === null) return [here];
  const inner = Object.entries(value).flatMap(([key, each]) => placesOf(each, [...here, key]));
  return [here, ...inner];
}

function replaced(value: unknown, place: readonly PropertyKey[], by: unknown): unknown {
  const [key, ...rest] = place;
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    return value.map((each, index) => (String(index) === key ? replaced(each, rest, by) : each));
  }
  const object = value as Record<PropertyKey, unknown>;
  return { ...object, [key]: replaced(object[key], rest, by) };
}

const anything = fc.oneof(
  fc.constantFrom(
    null,
    true,
    -1,
    0,
    1.5,
    7,
    '',
    'text',
    'Ä',
    '2Gi',
    '2 gigs',
    'a.b:1-x',
    'a:b',
    [],
    {},
  ),
  fc.constant(['x']),
  fc.constant({ unknownKey: 1 }),
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

describe('the published JSON Schema of a document', () => {
  it.each(documentKinds as readonly PublishedKind[])(
    '%s has an id, a title, a description',
    (kind) => {
      expect(documentSchema(kind)).toMatchObject({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $id: `urn:aios:schema:${kind}`,
        title: expect.any(String),
        description: expect.any(String),
        type: 'object',
        additionalProperties: false,
      });
    },
  );

  it.each(kinds)('%s accepts what the reader accepts', (kind) => {
    expect(isRead(kind, valid[kind])).toBe(true);
    expect(published.get(kind)?.(valid[kind])).toBe(true);
    const normalized = JSON.parse(JSON.stringify(readDocument(kind, valid[kind]).value));
    expect(published.get(kind)?.(normalized)).toBe(true);
  });

  it.each(kinds)('%s agrees with the reader wherever both can say it', (kind) => {
    const document = valid[kind];
    // The reader also accepts AIOS's shapes there, or checks what JSON Schema cannot: hooks, graphs, schemas, conflicts.
    const elsewhere = /^(policies|edges|nodes,\d+,gpus$|nodes$|generation,stages|hook$|tags$)/;
    const places = placesOf(document).filter(
      (place) => place.length > 0 && !elsewhere.test(place.join(',')),
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), anything, (place, value) => {
        const changed = JSON.parse(JSON.stringify(replaced(document, place, value)));
        // A cross-check of two values, each right alone.
        fc.pre(!(kind === 'block' && Number(changed.minInstances) > Number(changed.maxInstances)));
        fc.pre(!(kind === 'vdag' && place.at(-1) === 'label'));
        fc.pre(!(kind === 'vdag' && value === ''));
        // Pieces that are text but make no URI.
        fc.pre(
          !(
            typeof value === 'string' &&
            ['name', 'version', 'componentType'].includes(String(place[0]))
          ),
        );
        expect(published.get(kind)?.(changed)).toBe(isRead(kind, changed));
      }),
      { numRuns: 300 },
    );
  });
});

describe('the patterns of identifiers say what the checks say', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[aA0._:+-]{0,12}$/),
    fc.stringMatching(/^[a-z]+(\.[a-z]+)?:[v0-9.]+(-[a-z+]+)?$/),
    fc.string(),
  );
  const accepts = (check: (value: string) => string, value: string): boolean => {
    try {
      check(value);
      return true;
    } catch {
      return false;
    }
  };

  it.each(Object.keys(ids.idPatterns) as (keyof typeof ids.idPatterns)[])('%s', (name) => {
    const pattern = new RegExp(ids.idPatterns[name], 'u');
    fc.assert(
      fc.property(text, (value) => {
        expect(pattern.test(value)).toBe(accepts(ids[name], value));
      }),
      { numRuns: 2000 },
    );
  });
});
