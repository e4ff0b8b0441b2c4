import { z } from 'zod';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { jsonObject, policyUri } from '../../sdk/spec/common.ts';
import { executionLimits } from '../../sdk/spec/execution.ts';
import { parseAs } from '../../sdk/spec/parse.ts';

const input = z.json().default({});
const timeLimitMs = z.number().int().min(1).max(executionLimits.timeLimitMs).default(60_000);

const plain = z.strictObject({
  policyRuleURI: policyUri,
  input,
  parameters: jsonObject.default({}),
  settings: jsonObject.default({}),
  timeLimitMs,
});
export type JobRequest = z.output<typeof plain>;

/** As AIOS's `POST /jobs/submit/<executorId>` takes it; `name` and `node_selector` mean nothing here. */
const aios = z.strictObject({
  name: z.string().optional(),
  policy_rule_uri: policyUri,
  policy_rule_parameters: jsonObject.default({}),
  node_selector: z.unknown().optional(),
  inputs: input,
  timeLimitMs,
});

/** @throws {SpecError} SPEC_INVALID - with every problem */
export function readJobRequest(document: unknown): JobRequest {
  assertBounded('job', document);
  const isAios = document instanceof Object && 'policy_rule_uri' in document;
  if (!isAios) return parseAs('the job', plain, document);
  const { policy_rule_uri, policy_rule_parameters, inputs, ...rest } = parseAs(
    'the job',
    aios,
    document,
  );
  return {
    policyRuleURI: policy_rule_uri,
    parameters: policy_rule_parameters,
    settings: {},
    input: inputs,
    timeLimitMs: rest.timeLimitMs,
  };
}
