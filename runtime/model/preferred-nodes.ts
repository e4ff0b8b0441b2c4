import type { HookOutput } from '../../sdk/hooks.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';

type Ask = (outline: ModelOutline) => Promise<HookOutput<'splitPlanner', 'plan'>>;

/** Keeps which nodes the planner meant, until there are blocks to say it. */
export interface MeantNodes {
  readonly ask: Ask;
  /** The plan whose blocks would rather run where the planner meant them to. */
  apply<P extends Pick<SplitPlan, 'blocks'>>(plan: P): P;
}

/** @param planner - URI, for the explanation of where a block went */
export function rememberNodes(ask: Ask, planner: string): MeantNodes {
  let meant: readonly string[] = [];
  return {
    async ask(outline) {
      const answer = await ask(outline);
      meant = 'nodes' in answer ? (answer.nodes ?? []) : [];
      return answer;
    },
    apply(plan) {
      const blocks = plan.blocks.map((block, index): SplitPlan['blocks'][number] => {
        const name = meant[index];
        if (name === undefined) return block;
        const filter = {
          nodeQuery: { variable: 'id', operator: '==', value: name.slice(name.indexOf('/') + 1) },
        };
        const reason = `'${planner}' meant shard ${index} for ${name}`;
        const preferred = [{ weight: 1, filter, reason: reason.slice(0, 300) }];
        const rules = { affinity: [], antiAffinity: [], tolerations: [] };
        return { ...block, placement: { ...rules, nodeAffinity: { preferred } } };
      });
      return { ...plan, blocks };
    },
  };
}
