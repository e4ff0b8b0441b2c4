import type { NodeSnapshot } from '../../sdk/cluster.ts';
import type { Misfit } from '../../sdk/fit.ts';
import { carryRuns, freezeList } from '../policy/index.ts';
import type { ClusterAccount } from './cluster-account.ts';
import { type NodeRun, tableOf } from './filter/index.ts';
import { isMisfit, type NodeRules } from './node-rules.ts';

export interface RefusedNode extends Misfit {
  readonly nodeId: string;
}

/** All nodes of a cluster under one set of rules. */
export interface NodeSurvey {
  readonly nodes: readonly NodeSnapshot[];
  /** Those that pass, as policies see them, in order. Frozen, and the same list while nothing changes. */
  readonly passing: readonly NodeSnapshot[];
  readonly refusedCount: number;
  /** Some that pass have taints. */
  readonly tainted: boolean;
  /** In order. */
  refused(): Iterable<RefusedNode>;
  /** How many each condition refused, with the first few. */
  conditions(examples: number): readonly {
    readonly refusedBy: string;
    readonly count: number;
    readonly examples: readonly RefusedNode[];
  }[];
}

type Verdict = NodeSnapshot | Misfit;

/** A run of neighbouring nodes, judged. */
interface Part {
  readonly run: NodeRun;
  readonly verdicts: readonly Verdict[];
  readonly refusedBy: ReadonlyMap<string, number>;
  readonly passing: readonly NodeSnapshot[];
  /** Every node passes as it is. */
  readonly whole: boolean;
  readonly tainted: boolean;
}

/** Of the nodes of a run that changed, mostly one has: the others were judged before. */
function judgeRun(run: NodeRun, before: Part | undefined, rules: NodeRules): Part {
  const refusedBy = new Map<string, number>();
  const passing: NodeSnapshot[] = [];
  let whole = true;
  let tainted = false;
  const verdicts = run.things.map((node, at): Verdict => {
    const same = before?.run.things[at] === node ? before.verdicts[at] : undefined;
    const verdict = same ?? rules.judge(node);
    whole &&= verdict === node;
    if (isMisfit(verdict)) {
      refusedBy.set(verdict.refusedBy, (refusedBy.get(verdict.refusedBy) ?? 0) + 1);
    } else {
      passing.push(verdict);
      tainted ||= verdict.taints !== undefined;
    }
    return verdict;
  });
  return { run, verdicts, refusedBy, passing, whole, tainted };
}

/** Runs none of whose conditions wants another example are not looked into: thousands of nodes are refused for one reason. */
function conditionsOf(
  parts: readonly Part[],
  counts: readonly (readonly [refusedBy: string, count: number])[],
  examples: number,
): ReturnType<NodeSurvey['conditions']> {
  const found = new Map(
    counts.map(([refusedBy, count]) => [
      refusedBy,
      { wanted: Math.min(examples, count), some: [] as RefusedNode[] },
    ]),
  );
  const wants = (refusedBy: string): boolean => (found.get(refusedBy)?.wanted ?? 0) > 0;
  let missing = counts.reduce((sum, [, count]) => sum + Math.min(examples, count), 0);
  for (const { run, verdicts, refusedBy } of parts) {
    if (missing === 0) break;
    let any = false;
    for (const condition of refusedBy.keys()) any ||= wants(condition);
    if (!any) continue;
    for (const [at, verdict] of verdicts.entries()) {
      if (!isMisfit(verdict) || !wants(verdict.refusedBy)) continue;
      const condition = found.get(verdict.refusedBy);
      if (!condition) continue;
      condition.wanted -= 1;
      missing -= 1;
      condition.some.push({ nodeId: run.things[at]?.id ?? '', ...verdict });
    }
  }
  return counts.map(([refusedBy, count]) => ({
    ...{ refusedBy, count },
    examples: found.get(refusedBy)?.some ?? [],
  }));
}

/** What is known of a cluster under one set of rules; brought up to date run by run. */
class Survey {
  readonly #rules: NodeRules;
  #parts: Part[] = [];
  readonly #counts = new Map<string, number>();
  #now: NodeSurvey | undefined;

  constructor(rules: NodeRules) {
    this.#rules = rules;
  }

  of(nodes: readonly NodeSnapshot[]): NodeSurvey {
    if (this.#now?.nodes === nodes) return this.#now;
    const { runs } = tableOf(nodes);
    const before = this.#parts;
    let same = runs.length === before.length;
    const parts = runs.map((run, at) => {
      const old = before[at];
      if (old?.run === run) return old;
      same = false;
      const part = judgeRun(run, old, this.#rules);
      if (old) this.#count(old, -1);
      this.#count(part, 1);
      return part;
    });
    for (const gone of before.slice(runs.length)) this.#count(gone, -1);
    this.#parts = parts;
    const passing = same && this.#now ? this.#now.passing : this.#passing(nodes, before);
    this.#now = this.#view(nodes, parts, passing);
    return this.#now;
  }

  #count({ refusedBy }: Part, sign: 1 | -1): void {
    for (const [condition, count] of refusedBy) {
      const left = (this.#counts.get(condition) ?? 0) + sign * count;
      if (left === 0) this.#counts.delete(condition);
      else this.#counts.set(condition, left);
    }
  }

  #passing(nodes: readonly NodeSnapshot[], before: readonly Part[]): readonly NodeSnapshot[] {
    const parts = this.#parts;
    if (parts.every(({ whole }) => whole)) return nodes;
    const passing: NodeSnapshot[] = [];
    const changed: number[] = [];
    for (let at = 0; at < parts.length; at += 1) {
      const { passing: now } = parts[at] as Part;
      const old = before[at]?.passing;
      for (let place = 0; place < now.length; place += 1) {
        const node = now[place] as NodeSnapshot;
        if (old !== now && old?.[place] !== node) changed.push(passing.length);
        passing.push(node);
      }
    }
    const list = freezeList(passing);
    const aligned = parts.every(
      ({ passing: now }, at) => now.length === before[at]?.passing.length,
    );
    if (this.#now && aligned) carryRuns(this.#now.passing, list, changed);
    return list;
  }

  #view(
    nodes: readonly NodeSnapshot[],
    parts: readonly Part[],
    passing: readonly NodeSnapshot[],
  ): NodeSurvey {
    const counts = [...this.#counts];
    const tainted = parts.some((part) => part.tainted);
    function* refused(): Iterable<RefusedNode> {
      for (const { run, verdicts, passing: some } of parts) {
        if (some.length === verdicts.length) continue;
        for (const [at, verdict] of verdicts.entries()) {
          if (isMisfit(verdict)) yield { nodeId: run.things[at]?.id ?? '', ...verdict };
        }
      }
    }
    return {
      ...{ nodes, passing, tainted, refused, refusedCount: nodes.length - passing.length },
      conditions: (examples) => conditionsOf(parts, counts, examples),
    };
  }
}

/** By the rules, then by the cluster: both are forgotten with their owners. */
const surveys = new WeakMap<NodeRules, WeakMap<ClusterAccount, Survey>>();

/**
 * Judges every node of a cluster; what did not change since the last time is not judged again, so a placement costs as
 * much as what changed, not as much as the cluster is large.
 */
export function surveyNodes(
  rules: NodeRules,
  account: ClusterAccount,
  nodes: readonly NodeSnapshot[],
): NodeSurvey {
  const ofRules = surveys.get(rules) ?? new WeakMap<ClusterAccount, Survey>();
  surveys.set(rules, ofRules);
  const survey = ofRules.get(account) ?? new Survey(rules);
  ofRules.set(account, survey);
  return survey.of(nodes);
}
