import { type HookInput, type HookName, hooks } from '../../sdk/hooks.ts';

function leastQueued({ instances }: HookInput<'loadBalancer'>) {
  const [first] = [...instances].sort((a, b) => a.outstandingRequests - b.outstandingRequests);
  return first && { instanceId: first.id };
}

/** @returns the answer that the hook's `onError` gives in place of a policy that failed; nothing where the caller must fail */
export function fallbackAnswer(hook: HookName, input: unknown): unknown {
  return hooks[hook].onError === 'least-queued'
    ? leastQueued(input as HookInput<'loadBalancer'>)
    : undefined;
}
