import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { PolicyError } from '../../sdk/errors.ts';
import type { Json } from '../../sdk/packet.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { JobRequest } from './request.ts';

export interface RunJobParts {
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  /** Of every cluster of the tenant. */
  readonly nodes: (tenant: string) => readonly NodeSnapshot[];
}

/**
 * Asks the `resourceEstimator` whether the job may run now, and runs it in a sandbox of its own.
 *
 * @throws {PolicyError} ADMISSION_DENIED - by the estimator; as `PolicyHost.evaluate`
 */
export async function runJob(
  { policies, nodes }: RunJobParts,
  tenant: string,
  request: JobRequest,
  signal: AbortSignal,
): Promise<{ readonly output: Json; readonly logs: readonly string[] }> {
  const { policyRuleURI, input, parameters, settings, timeLimitMs } = request;
  const asked = { tenant, useSite: 'job', inventoryRevision: 0 } as const;
  const all = nodes(tenant);
  // Where nothing is declared there is nothing to be sparing with: the job runs here.
  if (all.length > 0) {
    const { output: answer, evaluation } = await policies.evaluate({
      ...{ ...asked, hook: 'resourceEstimator' as const, action: 'estimate' as const },
      input: { action: 'estimate', policyUri: policyRuleURI, kind: 'job', nodes: all },
    });
    if (!answer.allowed) {
      throw new PolicyError(
        'ADMISSION_DENIED',
        `policy '${evaluation.policyUri}' does not admit the job: ${answer.reason.replace(/\.$/, '')}.`,
      );
    }
  }
  const { output, evaluation } = await policies.evaluate({
    ...{ ...asked, hook: 'function' as const, action: 'call' as const },
    reference: { policyRuleURI: policyRuleURI as never, parameters, settings },
    input: { action: 'call', input: input as Json },
    ...{ asJob: true, timeLimitMs, signal },
  });
  return { output: output.output, logs: evaluation.logs };
}
