import { AiosError, PolicyError } from '../../../sdk/errors.ts';

interface Standing {
  strikes: number;
  restsUntilMs: number;
}

const limits = { strikes: 5, restMs: 2000, policies: 1000 } as const;

/** Which policies of an executor stay silent, counted for each: a tenant with a limit of 1 ms stops nobody else's. */
export function createStrikes(executorId: string) {
  const standings = new Map<string, Standing>();

  function strike(policy: string): void {
    const standing = standings.get(policy) ?? { strikes: 0, restsUntilMs: 0 };
    standing.strikes += 1;
    if (standing.strikes >= limits.strikes) standing.restsUntilMs = Date.now() + limits.restMs;
    standings.delete(policy);
    standings.set(policy, standing);
    const [oldest] = standings.keys();
    if (standings.size > limits.policies && oldest !== undefined) standings.delete(oldest);
  }

  return {
    /** @throws {PolicyError} POLICY_UNREACHABLE - it rests; what `task` throws */
    async watch<T>(policy: string, task: () => Promise<T>): Promise<T> {
      const known = standings.get(policy);
      if (known && Date.now() < known.restsUntilMs) {
        const message = `policy executor '${executorId}' failed it ${known.strikes} times in a row and is asked again in a moment.`;
        throw new PolicyError('POLICY_UNREACHABLE', message);
      }
      try {
        const result = await task();
        standings.delete(policy);
        return result;
      } catch (fault) {
        const { code } = AiosError.from(fault);
        if (code === 'POLICY_UNREACHABLE' || code === 'POLICY_TIMEOUT') strike(policy);
        // Who went away says nothing of the executor; any other answer shows that it is there.
        else if (code !== 'CANCELLED') standings.delete(policy);
        throw fault;
      }
    },
  };
}
