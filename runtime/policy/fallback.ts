import { type HookInput, type HookName, hooks, type OnError } from '../../sdk/hooks.ts';

function leastQueued({ instances }: HookInput<'loadBalancer'>) {
  const [first] = [...instances].sort((a, b) => a.outstandingRequests - b.outstandingRequests);
  return first && { instanceId: first.id };
}

/**
 * What each `onError` puts in the place of an answer. `deny`, `allow` and `hold` are for hooks that ask whether something
 * may be done or changed; none of today's hooks does, so there is nothing yet for them to answer.
 */
const answers: Readonly<Record<OnError, ((input: unknown) => unknown) | undefined>> = {
  'fail-with-reason': undefined,
  'least-queued': (input) => leastQueued(input as HookInput<'loadBalancer'>),
  deny: undefined,
  allow: undefined,
  hold: undefined,
};

/** @returns the answer that the hook's `onError` gives in place of a policy that failed; nothing where the caller must fail */
export const fallbackAnswer = (hook: HookName, input: unknown): unknown =>
  answers[hooks[hook].onError]?.(input);
