import type { BlockInputs } from './block.ts';
import type { PlacementInputs } from './placement.ts';
import type { VdagInputs } from './vdag.ts';

/** The policy's own function, asked one of the actions it must know. */
type Evaluate = (input: object) => unknown;

const asDryRun = (input: object, evaluate: Evaluate): unknown =>
  evaluate({ ...input, action: 'dry_run' });

/** Requests in flight over instances, times what one takes. */
function estimate({ instances }: BlockInputs['loadBalancer']['estimate']) {
  const queued = instances.reduce((sum, each) => sum + each.outstandingRequests, 0);
  const fewest = Math.min(...instances.map((each) => each.outstandingRequests));
  const latencyMs = Math.min(...instances.map((each) => each.latencyMs ?? 0));
  return { queued, waitMs: instances.length === 0 ? 0 : fewest * latencyMs };
}

/**
 * Actions that a policy need not know, and what is answered for one that does not: most authors write the few that
 * matter to them, and a policy written before an action existed still works.
 */
export const optionalActions = {
  resourceAllocator: {
    scale: (input: PlacementInputs['resourceAllocator']['scale'], evaluate: Evaluate) =>
      asDryRun(input, evaluate),
    reassignment: (
      input: PlacementInputs['resourceAllocator']['reassignment'],
      evaluate: Evaluate,
    ) => asDryRun(input, evaluate),
    third_party_allocate: (
      input: PlacementInputs['resourceAllocator']['third_party_allocate'],
      evaluate: Evaluate,
    ) => {
      const { assignments } = asDryRun(input, evaluate) as { readonly assignments?: unknown };
      return { data: { assignments } };
    },
  },
  loadBalancer: {
    estimate,
    check_execute: (_: BlockInputs['loadBalancer']['check_execute']) => ({ accept: true }),
  },
  stabilityChecker: {
    cluster: (_: BlockInputs['stabilityChecker']['cluster']) => ({ stable: true }),
  },
  healthChecker: {
    default: (input: VdagInputs['healthChecker']['default'], evaluate: Evaluate) =>
      evaluate({ ...input, action: 'fast_check' }),
  },
} as const;

type Substitute = (input: never, evaluate: Evaluate) => unknown;

/** @returns what answers an action that a policy does not know; nothing for one that it must */
export function substituteFor(hook: string, action: string): Substitute | undefined {
  const ofHook: Readonly<Record<string, Substitute>> | undefined = Object.hasOwn(
    optionalActions,
    hook,
  )
    ? optionalActions[hook as keyof typeof optionalActions]
    : undefined;
  return ofHook && Object.hasOwn(ofHook, action) ? ofHook[action] : undefined;
}
