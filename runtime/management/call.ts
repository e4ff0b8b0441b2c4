import { z } from 'zod';
import type { FunctionCallResult } from '../../sdk/client/control.ts';
import type { Json } from '../../sdk/packet.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { jsonObject, policyUri } from '../../sdk/spec/common.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import type { PolicyHost } from '../policy/host.ts';

const request = z.strictObject({
  policyRuleURI: policyUri,
  input: z.json().default({}),
  parameters: jsonObject.default({}),
  settings: jsonObject.default({}),
});

/** Where a function that is no deployed one keeps what it keeps for callers from outside. */
const useSite = 'call';

/** Calls a policy of hook `function` for somebody outside. */
export async function callFunction(
  policies: Pick<PolicyHost, 'evaluate'>,
  tenant: string,
  document: unknown,
  signal?: AbortSignal,
): Promise<FunctionCallResult> {
  assertBounded('call', document);
  const { input, ...reference } = parseAs('the call', request, document);
  const { output, evaluation } = await policies.evaluate({
    ...{ tenant, hook: 'function' as const, action: 'call' as const, reference, useSite },
    input: { action: 'call', input: input as Json },
    inventoryRevision: 0,
    ...(signal ? { signal } : {}),
  });
  const { policyUri: uri, logs, durationMs } = evaluation;
  return { policyUri: uri, output: output.output, logs, durationMs };
}
