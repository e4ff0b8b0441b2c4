import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import type { ControlServices } from '../../../runtime/control-services.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { Plane, tenant } from './plane.ts';

/** Every question that a policy of this file was asked, in order. */
export interface Asked {
  readonly hook: string;
  readonly action: string;
  readonly input: unknown;
}

/** Policies that do what their parameters say, and count how often they are asked. */
export function obedientPolicies(asked: Asked[]) {
  const note = (hook: string, input: { readonly action: string }): void => {
    asked.push({ hook, action: input.action, input: structuredClone(input) });
  };
  const meta = { version: '1.0.0', description: 'Does what it is told.' } as const;
  return [
    definePolicy({
      ...meta,
      hook: 'preCheck',
      name: 'told-check',
      parameters: z.strictObject({
        refuse: z.string().optional(),
        merge: z.record(z.string(), z.json()).optional(),
        fail: z.boolean().default(false),
      }),
      evaluate(input, { parameters: { refuse, merge, fail } }) {
        note('preCheck', input);
        if (fail) throw new Error('told to fail');
        if (refuse !== undefined) return { allowed: false, reason: refuse };
        if (!merge) return { allowed: true };
        return { allowed: true, input: { ...(input.input as object), ...merge } };
      },
    }),
    definePolicy({
      ...meta,
      hook: 'autoscaler',
      name: 'told-scaler',
      parameters: z.strictObject({
        instances: z.number(),
        assignments: z
          .array(z.object({ nodeId: z.string(), gpus: z.array(z.number()).default([]) }))
          .optional(),
      }),
      settings: z.object({ intervalSeconds: z.number().default(30) }),
      evaluate(input, { parameters }) {
        note('autoscaler', input);
        const { instances, assignments } = parameters;
        return { instances, reason: 'told so', ...(assignments ? { assignments } : {}) };
      },
    }),
    definePolicy({
      ...meta,
      hook: 'stabilityChecker',
      name: 'told-checker',
      parameters: z.strictObject({
        cordon: z.array(z.string()).default([]),
        restart: z.boolean().default(false),
      }),
      settings: z.object({ check_interval_sec: z.number().default(30) }),
      evaluate(input, { parameters, state }) {
        note('stabilityChecker', input);
        void state;
        if (!parameters.restart) return { actions: [] };
        const [first] = input.instances;
        const restarted = (first?.restarts ?? 0) > 0;
        return {
          actions:
            first && !restarted
              ? [{ type: 'restart' as const, instanceId: first.id, reason: 'told so' }]
              : [],
        };
      },
      actions: {
        cluster(input, { parameters }) {
          note('stabilityChecker', input);
          return { stable: parameters.cordon.length === 0, cordon: [...parameters.cordon] };
        },
      },
    }),
    definePolicy({
      ...meta,
      hook: 'failurePolicy',
      name: 'told-end',
      parameters: z.strictObject({ first: z.enum(['retry', 'reassign']).default('retry') }),
      evaluate(input, { parameters }) {
        note('failurePolicy', input);
        return input.failure.count < 2
          ? { actions: [{ type: parameters.first, afterMs: 1 }] }
          : { actions: [{ type: 'give-up' as const, message: 'enough' }] };
      },
    }),
    definePolicy({
      ...meta,
      hook: 'ranking',
      name: 'by-id-backwards',
      evaluate(input) {
        note('ranking', input);
        const ids = input.candidates
          .map(({ id }) => id)
          .sort()
          .reverse();
        return { ranked: ids.map((id, index) => ({ id, score: ids.length - index })) };
      },
    }),
    definePolicy({
      ...meta,
      hook: 'template',
      name: 'small-block',
      evaluate(input) {
        note('template', input);
        const { id } = (input.spec as { body: { id: string } }).body;
        const componentUri = 'sim.box:1.0.0-stable';
        const resources = { memoryBytes: '10Mi' };
        return {
          document: { id, componentUri, minInstances: 1, maxInstances: 1, resources },
        };
      },
    }),
  ];
}

export const told = (name: string) => `${name}:1.0.0-stable`;

/** A plane whose clusters are simulated: instances take their places and are ready at once. */
export class DecidingPlane extends Plane {
  readonly asked: Asked[] = [];

  override up(): Promise<this> {
    return super.up({ policies: [...builtinPolicies, ...obedientPolicies(this.asked)] });
  }

  get control(): ControlServices {
    const { control } = this.api;
    if (!control) throw new Error('no control services');
    return control;
  }

  async simulate(): Promise<void> {
    const nodes = ['n1', 'n2'].map((id) => ({ id, memoryBytes: '1Gi', cpuCores: 8 }));
    await this.api.create(tenant, 'cluster', { id: 'sim', backend: 'simulated', nodes });
    await this.api.create(tenant, 'component', {
      uri: 'sim.box:1.0.0-stable',
      container: { image: 'box:1' },
    });
  }

  box(id: string, more: Record<string, unknown> = {}) {
    return {
      ...{ id, componentUri: 'sim.box:1.0.0-stable', minInstances: 1, maxInstances: 4 },
      resources: { memoryBytes: '100Mi', cpuCores: 0.1 },
      ...more,
    };
  }

  async decisions(kind: string) {
    const all = await this.api.decisions?.log.list(tenant, { limit: 1000 });
    return (all ?? []).filter((one) => one.kind === kind);
  }
}
