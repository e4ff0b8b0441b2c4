import type { z } from 'zod';
import type { Block } from './block.ts';
import { type Problem, SpecError } from './errors.ts';
import { toJsonSchema } from './json-schema.ts';
import { checkComponentDefaults } from './protocol.ts';
import type { codeArtifact, policyReference } from './spec/common.ts';
import type { ComponentSpec, container } from './spec/component.ts';
import { readDocument } from './spec/index.ts';

type Values = Readonly<Record<string, unknown>>;

export interface ComponentDefinition {
  /** Free category: `model`, `service`, `node.algorithm.objdet`. */
  readonly componentType: string;
  readonly name: string;
  /** Opaque: never ordered or compared. */
  readonly version: string;
  /** @default 'stable' */
  readonly releaseTag?: string;
  /** The code that runs. Its schemas become the component's protocols. */
  readonly block?: Block;
  /** The image that runs instead. */
  readonly container?: z.input<typeof container>;
  /** What a block gets where its own document has none. A block's values replace these, they do not merge. */
  readonly initData?: Values;
  readonly settings?: Values;
  readonly parameters?: Values;
  /** Hook → policy; a block's own entry of the same hook wins. */
  readonly policies?: Readonly<Record<string, z.input<typeof policyReference>>>;
  readonly managementCommands?: Values;
  readonly metadata?: Values;
  readonly tags?: readonly string[];
}

/** A checked, frozen component: its document, and the block that runs. */
export interface Component extends Omit<ComponentSpec, 'artifact' | 'stage' | 'graph'> {
  readonly type: 'component';
  readonly block?: Block;
}

function protocolsOf(block: Block | undefined): Readonly<Record<string, unknown>> {
  if (!block) return {};
  return {
    inputProtocol: toJsonSchema(block.input),
    outputProtocol: toJsonSchema(block.output),
    settingsProtocol: toJsonSchema(block.settings),
    parametersProtocol: toJsonSchema(block.parameters),
  };
}

/**
 * Defines a component: a versioned description of a workload, with the block that runs it.
 *
 * @example
 * export default defineComponent({
 *   componentType: 'service', name: 'shout', version: '1.0.0',
 *   block: defineBlock({
 *     input: z.object({ text: z.string() }), output: z.object({ text: z.string() }),
 *     onData: ({ data }) => ({ text: data.text.toUpperCase() }),
 *   }),
 * });
 * @throws {SpecError} SPEC_INVALID - with every problem; neither `block` nor `container`, or defaults outside the
 *   block's schemas
 */
export function defineComponent(definition: ComponentDefinition): Component {
  const { block, ...document } = definition;
  const { value } = readDocument('component', { ...protocolsOf(block), ...document });
  const problems: Problem[] = [...checkComponentDefaults(value)];
  if ((block === undefined) === (value.container === undefined)) {
    problems.push({
      path: '$.block',
      message: 'a component has a block or a container, one of them',
    });
  }
  const [first] = problems;
  if (first) {
    throw new SpecError(
      'SPEC_INVALID',
      `component '${value.uri}' is wrong at ${first.path}: ${first.message}.`,
      { problems },
    );
  }
  return Object.freeze({ ...value, ...(block ? { block } : {}), type: 'component' as const });
}

/**
 * The plain document of a component: what `aios create-component` sends.
 *
 * @param artifact - the bundled code, once it is uploaded
 */
export function componentDocument(
  component: Component,
  artifact?: z.input<typeof codeArtifact>,
): Readonly<Record<string, unknown>> {
  const { type: _type, block: _block, ...document } = component;
  return artifact ? { ...document, artifact } : document;
}
