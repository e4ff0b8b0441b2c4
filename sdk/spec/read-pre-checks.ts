import { preCheckActions } from '../hooks.ts';
import { nearest } from '../nearest.ts';
import { at, entries, isObject, type Located } from './located.ts';
import { readReference } from './policy-references.ts';
import type { Draft } from './reading.ts';

/** Other names of AIOS's for the same. */
const aliases: Readonly<Record<string, string>> = {
  create_cluster: 'add_cluster',
  create_block: 'add_block',
};

const isAction = (name: string): boolean => (preCheckActions as readonly string[]).includes(name);

/** @returns the action under its one name; undefined for what is none */
export function actionOf(name: string): string | undefined {
  const action = Object.hasOwn(aliases, name) ? aliases[name] : name;
  return action !== undefined && isAction(action) ? action : undefined;
}

/** A policy's URI alone stands for the reference. */
function readCheck(draft: Draft, action: string, check: Located): void {
  if (typeof check.value !== 'string') {
    readReference(draft, action, check);
    return;
  }
  draft.object(action, check).put('policyRuleURI', check);
}

/** Opens `draft[key]`, or goes on in it. */
function sectionOf(draft: Draft, key: string, located: Located): Draft {
  const known = draft.value[key];
  const section = draft.object(key, located);
  if (isObject(known)) Object.assign(section.value, known);
  return section;
}

/**
 * Reads a map from actions to policies, each a reference or a URI alone, into `draft.preChecks`.
 *
 * @param tolerant - actions that do not exist are a warning: AIOS keeps such words in its samples
 */
export function readPreChecks(draft: Draft, located: Located, tolerant = false): void {
  if (located.value === undefined) return;
  const { reading } = draft;
  if (!isObject(located.value)) {
    reading.problem(located, { message: 'has the wrong type', expected: 'an object by action' });
    return;
  }
  const section = sectionOf(draft, 'preChecks', located);
  const unknown: string[] = [];
  for (const [name, check] of entries(located)) {
    if (reading.isFull) break;
    const action = actionOf(String(name));
    if (action === undefined) {
      if (tolerant) unknown.push(String(name));
      else {
        const message = `'${name}' is no action`;
        reading.problem({ path: check.path, value: name }, { message }, preCheckActions);
      }
    } else if (Object.hasOwn(section.value, action)) {
      // The plain form's own map was read first, and holds what was taken over from the other before.
      if (tolerant) continue;
      reading.problem(check, { message: `action '${action}' already has a pre-check; keep one` });
    } else {
      readCheck(section, action, check);
    }
  }
  if (unknown.length === 0) return;
  const named = unknown.slice(0, 5).map((name) => {
    const close = nearest(name, preCheckActions);
    return `'${name}'${close === undefined ? '' : ` (did you mean '${close}'?)`}`;
  });
  reading.warn(located, `${named.join(', ')}: no such action; it is kept, and nothing is asked`);
}

/** AIOS keeps a cluster's pre-checks and its stability checker in `config`. */
export function readClusterConfig(draft: Draft): void {
  const config = { value: draft.value.config, path: draft.reading.locate(['config']) };
  readPreChecks(draft, at(config, 'actionsPolicyMap'), true);
  const checker = at(config, 'stabilityChecker');
  if (checker.value === undefined) return;
  const policies = sectionOf(draft, 'policies', {
    value: draft.value.policies,
    path: draft.reading.locate(['policies']),
  });
  if (policies.value.stabilityChecker !== undefined) return;
  if (typeof checker.value === 'string') {
    policies.object('stabilityChecker', checker).put('policyRuleURI', checker);
  } else readReference(policies, 'stabilityChecker', checker);
}
