import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { HookAction, HookInput, HookName, HookOutput } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicyHost } from '../policy/index.ts';
import type { PlacementRequest } from './placement.ts';

export interface Answered<H extends HookName, A extends HookAction<H>> {
  readonly output: HookOutput<H, A>;
  readonly policyUri: string;
}

/** Asks one of the block's policies. @param record - gets the evaluation, also of one that failed */
export type Ask = <H extends HookName, A extends HookAction<H>>(
  hook: H,
  action: A,
  input: HookInput<H, A>,
  record: (evaluation: PolicyEvaluation) => void,
  defaults?: PolicyReference,
) => Promise<Answered<H, A>>;

export function createAsk(
  host: PolicyHost,
  { tenant, policies, block }: PlacementRequest,
  inventoryRevision: number,
): Ask {
  return async (hook, action, input, record, defaults) => {
    const reference = policies[hook];
    try {
      const { output, evaluation } = await host.evaluate({
        ...{ tenant, hook, action, input, inventoryRevision },
        ...(reference ? { reference } : {}),
        ...(defaults ? { defaults } : {}),
        useSite: `block/${block.id}`,
      });
      record(evaluation);
      return { output, policyUri: evaluation.policyUri };
    } catch (fault) {
      const error = AiosError.from(fault);
      const evaluation = error.details.evaluation as PolicyEvaluation | undefined;
      if (evaluation) record(evaluation);
      throw error;
    }
  };
}
