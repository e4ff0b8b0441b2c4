import { z } from 'zod';
import { blockSpec } from './spec/block.ts';
import { clusterSpec } from './spec/cluster.ts';
import { componentSpec } from './spec/component.ts';
import { networkSpec } from './spec/network.ts';
import { splitPlan } from './spec/plan.ts';
import { policySpec } from './spec/policy.ts';
import { vdagSpec } from './spec/vdag.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** @returns draft 2020-12, of what a person writes (before defaults); what JSON Schema cannot say is left open. */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
  });
  // Through text: zod hangs functions of its own on the result.
  return JSON.parse(JSON.stringify({ $schema, ...rest })) as JsonSchema;
}

interface PublishedDocument {
  readonly schema: z.ZodType;
  readonly title: string;
  readonly description: string;
  /** Keys that follow from others when they are left out, and the sets that suffice. */
  readonly derived?: readonly string[];
  readonly anyOf?: readonly (readonly string[])[];
}

const documents = {
  component: {
    schema: componentSpec,
    title: 'Component',
    description:
      'A versioned description of a workload. What runs is one of artifact, stage or container.',
    derived: ['uri', 'componentType', 'name', 'version', 'releaseTag'],
    anyOf: [['uri'], ['componentType', 'name', 'version']],
  },
  block: {
    schema: blockSpec,
    title: 'Block',
    description: 'A component running: minInstances to maxInstances processes on one cluster.',
    derived: ['id'],
  },
  vdag: {
    schema: vdagSpec,
    title: 'vDAG',
    description: 'A graph whose nodes are blocks or vDAGs, run as one request.',
    derived: ['uri', 'name', 'version', 'releaseTag'],
    anyOf: [['uri'], ['name', 'version']],
  },
  policy: {
    schema: policySpec,
    title: 'Policy',
    description: 'An uploaded policy: a function called at a hook.',
    derived: ['uri', 'name', 'version', 'releaseTag'],
    anyOf: [['uri'], ['name', 'version']],
  },
  cluster: {
    schema: clusterSpec,
    title: 'Cluster',
    description: 'Machines under one controller, and what placement may promise of each.',
  },
  network: {
    schema: networkSpec,
    title: 'Network',
    description:
      'Default policies, pre-checks and templates of everything under one control plane.',
  },
  plan: {
    schema: splitPlan,
    title: 'Split plan',
    description:
      'The shards of a model, the documents that create each, and the vDAG that joins them.',
  },
} as const satisfies Record<string, PublishedDocument>;

export type PublishedKind = keyof typeof documents;
export const documentKinds = Object.keys(documents) as readonly PublishedKind[];

/**
 * The published JSON Schema (draft 2020-12) of a document's plain form. Every document it refuses, `readDocument`
 * refuses, AIOS spellings aside; `readDocument` also checks what JSON Schema cannot say, such as cycles.
 */
export function documentSchema(kind: PublishedKind): JsonSchema {
  const { schema, title, description, derived = [], anyOf }: PublishedDocument = documents[kind];
  const { $schema, required, ...rest } = toJsonSchema(schema);
  const asked = Array.isArray(required) ? required.filter((key) => !derived.includes(key)) : [];
  return {
    $schema,
    $id: `urn:aios:schema:${kind}`,
    title,
    description,
    ...rest,
    required: asked,
    ...(anyOf ? { anyOf: anyOf.map((keys) => ({ required: keys })) } : {}),
  };
}
