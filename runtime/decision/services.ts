import type { CandidateExplanation } from '../../sdk/client/api.ts';
import type { PolicyHost } from '../policy/index.ts';
import type { Store } from '../store/index.ts';
import { allCandidates } from './candidates.ts';
import type { DecisionLog } from './decision-log.ts';
import { createReplayer, type Replayer } from './replay.ts';
import { openShadows, type Shadows } from './shadows.ts';

/** Everything there is to ask about decisions. */
export interface DecisionServices {
  readonly log: DecisionLog;
  readonly replayer: Replayer;
  readonly shadows: Shadows;
  /** Every candidate of a decision, recomputed where the log lists only some. @throws as `DecisionLog.question` */
  candidates(tenant: string, decisionId: string): Promise<readonly CandidateExplanation[]>;
  /** Ends the shadows; the log is whose it was. */
  close(): Promise<void>;
}

export async function openDecisionServices(
  store: Store,
  log: DecisionLog,
  policies: PolicyHost,
): Promise<DecisionServices> {
  const shadows = await openShadows({ store, policies });
  return {
    log,
    shadows,
    replayer: createReplayer(log, policies),
    candidates: (tenant, id) => allCandidates(log, policies, tenant, id),
    close: () => shadows.close(),
  };
}
