import { z } from 'zod';
import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { Allocation } from '../../sdk/client/control.ts';
import { AiosError } from '../../sdk/errors.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { Json } from '../../sdk/packet.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { policyUri } from '../../sdk/spec/common.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import { compileEntityFilter } from '../placement/index.ts';
import { candidatesOf, type SearchParts } from './search.ts';

const values = z.record(z.string(), z.unknown()).default({});

const schema = z.strictObject({
  policyRuleURI: policyUri.optional(),
  /** AIOS's name of the same. */
  policy_rule_uri: policyUri.optional(),
  /** AIOS's; this is always such a request. */
  adhoc: z.literal(true).optional(),
  clusters: z.array(z.string()).max(10_000).optional(),
  filter: z.unknown().optional(),
  inputs: z.unknown().optional(),
  parameters: values,
  settings: values,
});

function read(document: unknown): z.output<typeof schema> {
  assertBounded('allocation', document);
  return parseAs('the allocation request', schema, document);
}

/**
 * Asks a policy for a place that no block needs: of the clusters named, or of those that pass the filter. Reserves nothing.
 *
 * @throws {AiosError} SPEC_INVALID, FILTER_INVALID, NOT_FOUND - a cluster; what the policy failed with
 */
export async function allocate(
  parts: SearchParts,
  tenant: string,
  document: unknown,
): Promise<Allocation> {
  const { policyRuleURI, policy_rule_uri, clusters, filter, inputs, parameters, settings } =
    read(document);
  const uri = policyRuleURI ?? policy_rule_uri;
  const { passes } = compileEntityFilter('cluster', filter, '$.filter');
  const all = await candidatesOf(parts, tenant, 'cluster');
  const named = clusters && clusters.length > 0 ? new Set(clusters) : undefined;
  const missing = clusters?.find((id) => !all.some((one) => one.id === id));
  if (missing !== undefined) {
    const close = nearest(
      missing,
      all.map(({ id }) => id),
    );
    const question = close === undefined ? '' : ` Did you mean '${close}'?`;
    throw new AiosError(
      'NOT_FOUND',
      `cluster '${missing.slice(0, 200)}' does not exist.${question}`,
    );
  }
  const chosen = all.filter((one) => (named ? named.has(one.id) : passes(one)));
  const ids = chosen.map(({ id }) => id);
  const record = (
    outcome: 'answered' | 'refused' | 'failed',
    message: string,
    evaluation?: PolicyEvaluation,
  ) =>
    parts.decisions.record({
      ...{ tenant, kind: 'placement', subject: 'allocation', reason: 'request' },
      ...{ outcome, message, evaluations: evaluation ? [evaluation] : [] },
      details: { clusters: ids.slice(0, 100), inputs: inputs ?? null },
    });
  try {
    const { output, evaluation } = await parts.policies.evaluate({
      ...{ tenant, hook: 'adhocAllocator' as const, action: 'allocate' as const },
      reference: { ...(uri === undefined ? {} : { policyRuleURI: uri }), parameters, settings },
      input: {
        action: 'allocate',
        clusters: chosen.flatMap(({ cluster }) => (cluster ? [cluster.snapshot] : [])),
        inputs: structuredClone(inputs ?? null) as Json,
      },
      useSite: 'allocation',
      inventoryRevision: parts.inventory.revision,
    });
    const refused = 'refused' in output ? String(output.refused) : undefined;
    const { id } = record(
      refused === undefined ? 'answered' : 'refused',
      refused ?? `by '${evaluation.policyUri}': ${JSON.stringify(output).slice(0, 300)}`,
      evaluation,
    );
    return { decisionId: id, answer: output };
  } catch (fault) {
    const error = AiosError.from(fault);
    record('failed', error.message, error.details.evaluation as PolicyEvaluation | undefined);
    throw error;
  }
}
