import { z } from 'zod';
import { findCycle, formatCycle, graphEnds } from '../graph.ts';
import { jsonObject, policyUri } from './common.ts';

export const executionLimits = {
  /** Functions of one graph. */
  graphNodes: 64,
  graphEdges: 512,
  /** Graphs inside graphs. */
  graphDepth: 4,
  /** Functions that one evaluation of a graph calls, those of graphs inside it included. */
  graphCalls: 1000,
  /** Of a policy of hook `function`; at other hooks the hook's own limit counts. */
  timeLimitMs: 3_600_000,
} as const;

const timeLimitMs = z
  .number()
  .int()
  .min(1)
  .max(executionLimits.timeLimitMs)
  .optional()
  .describe("Of one call, for hook `function` alone. Left out: the hook's limit.");

const actions = z
  .array(z.string())
  .max(20)
  .default([])
  .describe('Optional actions of the hook that it answers itself; the others are answered for it.');

const label = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
  .max(100);

const graphNode = z.strictObject({
  label,
  policyRuleURI: policyUri.describe('A policy of hook `function`.'),
  parameters: jsonObject.default({}),
  settings: jsonObject.default({}),
});

const edge = z.strictObject({ from: label, to: label });

const graph = z
  .strictObject({
    type: z.literal('graph'),
    nodes: z.array(graphNode).min(1).max(executionLimits.graphNodes),
    edges: z.array(edge).max(executionLimits.graphEdges).default([]),
    actions,
    timeLimitMs,
  })
  .superRefine(({ nodes, edges }, context) => {
    const problem = (path: readonly PropertyKey[], message: string): void =>
      context.addIssue({ code: 'custom', path: [...path], message });
    const labels = new Set<string>();
    for (const [index, node] of nodes.entries()) {
      if (labels.has(node.label)) {
        problem(['nodes', index, 'label'], `label '${node.label}' is taken by a node before it`);
      }
      labels.add(node.label);
    }
    const seen = new Set<string>();
    const sound = edges.filter((one, index) => {
      const wrong = (['from', 'to'] as const).filter((end) => !labels.has(one[end]));
      for (const end of wrong) {
        problem(['edges', index, end], `'${one[end]}' is the label of no node`);
      }
      const name = `${one.from} => ${one.to}`;
      if (seen.has(name)) problem(['edges', index], `there is already an edge ${name}`);
      seen.add(name);
      return wrong.length === 0;
    });
    const shape = { nodes: [...labels].map((name) => ({ label: name })), edges: sound };
    const cycle = findCycle(shape);
    if (cycle) {
      const message = `the graph has a cycle: ${formatCycle(cycle)}; remove one of its edges`;
      problem(['edges'], message);
      return;
    }
    const { tails } = graphEnds(shape);
    if (tails.length > 1) {
      const message = `the graph has ${tails.length} ends (${tails.join(', ')}); its answer is that of one: join them in a last node`;
      problem(['nodes'], message);
    }
  });

/**
 * Where a policy's function runs: the five execution types of AIOS.
 *
 * 1. `local`: in the sandbox of the control plane; state for each use site.
 * 2. `remote`: over HTTP by an executor that the operator named (`aios up --policy-executor`), in any language.
 * 3. `job`: a fresh sandbox for each call, and nothing is kept.
 * 4. `function`: one sandbox for all who call it, kept ready; one state, one mailbox, one at a time.
 * 5. `graph`: functions joined by edges; what can run at once does. Its answer is that of the one last node.
 */
export const policyExecution = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('local'), timeLimitMs }),
  z.strictObject({
    type: z.literal('remote'),
    executor: label.describe('Name of an executor of this control plane.'),
    policyRuleURI: z
      .string()
      .max(500)
      .optional()
      .describe("What the executor knows it as. Left out: this policy's own URI."),
    actions,
    timeLimitMs,
  }),
  z.strictObject({ type: z.literal('job'), timeLimitMs }),
  z.strictObject({ type: z.literal('function'), timeLimitMs }),
  graph,
]);
export const executionTypes = ['local', 'remote', 'job', 'function', 'graph'] as const;
export type PolicyExecution = z.output<typeof policyExecution>;
export type ExecutionType = PolicyExecution['type'];
export type GraphExecution = Extract<PolicyExecution, { type: 'graph' }>;
export type RemoteExecution = Extract<PolicyExecution, { type: 'remote' }>;

/** Types whose code is the document's own artifact. */
export const runsCode = (type: ExecutionType): boolean => type !== 'remote' && type !== 'graph';
