import type { z } from 'zod';
import { type AdmissionInputs, admissionHooks, admissionOutputs } from './hooks/admission.ts';
import { type BlockInputs, blockHooks, blockOutputs } from './hooks/block.ts';
import type { HookDefinition } from './hooks/definition.ts';
import type { optionalActions } from './hooks/optional.ts';
import { type PlacementInputs, placementHooks, placementOutputs } from './hooks/placement.ts';
import { type PlatformInputs, platformHooks, platformOutputs } from './hooks/platform.ts';
import { type VdagInputs, vdagHooks, vdagOutputs } from './hooks/vdag.ts';
import type { Json } from './packet.ts';

export { type PreCheckAction, preCheckActions } from './hooks/admission.ts';
export type { HookDefinition, OnError } from './hooks/definition.ts';
export type { Victim } from './hooks/placement.ts';
export type { LayerAmounts } from './hooks/platform.ts';
export type { Assignment, BlockView, PacketView, PlanCandidate } from './hooks/views.ts';

/** Each hook's input, by action. Hooks without actions have one action named after what is asked. */
export interface HookInputs
  extends PlacementInputs,
    BlockInputs,
    AdmissionInputs,
    VdagInputs,
    PlatformInputs {}

const outputs = {
  ...placementOutputs,
  ...blockOutputs,
  ...admissionOutputs,
  ...vdagOutputs,
  ...platformOutputs,
} as const;

export type HookName = keyof HookInputs;
export type HookAction<H extends HookName> = keyof HookInputs[H] & string;
/** Actions that a policy of the hook may leave out; `hooks/optional.ts` says what is answered then. */
export type OptionalAction<H extends HookName> = H extends keyof typeof optionalActions
  ? keyof (typeof optionalActions)[H] & HookAction<H>
  : never;
/** Actions that every policy of the hook answers. */
export type CoreAction<H extends HookName> = Exclude<HookAction<H>, OptionalAction<H>>;
/** What a policy of hook `H` is called with; `action` discriminates. */
export type HookInput<
  H extends HookName,
  A extends HookAction<H> = CoreAction<H>,
> = HookInputs[H][A];

type OutputSchemas = typeof outputs;
type SchemaOf<H extends HookName, A> = A extends keyof OutputSchemas[H]
  ? OutputSchemas[H][A]
  : never;
/** What the platform gets back, defaults filled in. */
export type HookOutput<H extends HookName, A extends HookAction<H> = CoreAction<H>> =
  SchemaOf<H, A> extends z.ZodType ? z.output<SchemaOf<H, A>> : never;
/** What a policy may return. */
export type HookAnswer<H extends HookName, A extends HookAction<H> = CoreAction<H>> =
  SchemaOf<H, A> extends z.ZodType ? z.input<SchemaOf<H, A>> : never;

const definitions = {
  ...placementHooks,
  ...blockHooks,
  ...admissionHooks,
  ...vdagHooks,
  ...platformHooks,
} as const;

/** The hook table. Whoever composes the system must supply each default policy. */
export const hooks = Object.fromEntries(
  Object.entries(definitions).map(([name, definition]) => [
    name,
    { ...definition, outputs: outputs[name as HookName] },
  ]),
) as { readonly [H in HookName]: HookDefinition & { readonly outputs: OutputSchemas[H] } };

export const hookNames = Object.keys(hooks) as HookName[];

/** Anything a policy may keep between evaluations. */
export type PolicyState = { readonly [key: string]: Json };
