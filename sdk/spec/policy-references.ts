import { type HookName, hookNames, hooks } from '../hooks.ts';
import { at, entries, isObject, type Located } from './located.ts';
import { type Draft, Fields, type Reading } from './reading.ts';

/** Names in AIOS's samples that are no decision points there either; their policies are kept. */
const aiosHooks = [
  'loadBalancerMapper',
  'assetsLoader',
  'accessRulesPolicy',
  'splitResourceAllocatorPlugin',
  'splitAutosharingPolicyRule',
];

const isHook = (name: string): name is HookName => Object.hasOwn(hooks, name);

const legacyReason = 'is an AIOS key that nothing reads; it is ignored';
const wrappers = ['values', 'value', 'assignmentPolicyRule'];

/** Looks inside `{values: …}` and the doubly nested form of published vDAGs. */
function unwrapReference(reading: Reading, located: Located): Located {
  let current = located;
  for (let level = 0; level < 4; level += 1) {
    const { value } = current;
    const wrapper = isObject(value) ? wrappers.find((name) => isObject(value[name])) : undefined;
    if (wrapper === undefined) return current;
    const fields = new Fields(reading, current);
    fields.take(wrapper);
    fields.ignore(legacyReason, '@templateType', 'assignmentType', 'executionMode');
    fields.done();
    current = at(current, wrapper);
  }
  return current;
}

const isEmpty = ({ value }: Located): boolean =>
  value === undefined || (isObject(value) && Object.keys(value).length === 0);

/**
 * Reads one policy reference, flat or wrapped, into `draft[key]`. An empty `policyRuleURI` means none: without
 * parameters and settings nothing is written, with them they are for the hook's default policy.
 */
export function readReference(draft: Draft, key: string, located: Located, named = false): void {
  if (located.value === undefined) return;
  const { reading } = draft;
  const inner = unwrapReference(reading, located);
  const fields = new Fields(reading, inner);
  const uri = fields.take('policyRuleURI');
  const parameters = fields.take('parameters');
  const settings = fields.take('settings');
  if (named) fields.take('name');
  fields.ignore(legacyReason, 'executionMode', 'codePath', '@templateType', 'rankingPolicyRule');
  fields.done();
  const none = uri.value === undefined || uri.value === '';
  if (none && isEmpty(parameters) && isEmpty(settings)) return;
  const reference = draft.object(key, inner);
  reference.put('policyRuleURI', uri, none ? undefined : uri.value);
  reference.put('parameters', parameters);
  reference.put('settings', settings);
}

/** @returns whether the hook exists; warns of hooks that nothing runs yet. */
function checkHook(reading: Reading, name: string, where: Located): boolean {
  if (isHook(name) && hooks[name].status === 'called') return true;
  if (isHook(name) || aiosHooks.includes(name)) {
    reading.warn(where, `hook '${name}' is not run by this version; its policy is kept`);
    return true;
  }
  reading.problem({ path: where.path, value: name }, { message: `hook '${name}' does not exist` }, [
    ...hookNames,
    ...aiosHooks,
  ]);
  return false;
}

/** `resource_affinity` and its like: data that published components keep among their policies. */
function isData(reading: Reading, name: string, entry: Located): boolean {
  if (isHook(name) || aiosHooks.includes(name)) return false;
  const { value } = unwrapReference(reading, entry);
  if (!isObject(value)) return true;
  return !Object.keys(value).some((key) =>
    ['policyRuleURI', 'parameters', 'settings'].includes(key),
  );
}

/**
 * Reads a document's policies, a map by hook or a list of named entries, into `draft.policies`.
 *
 * @returns entries that are no policies at all, by name
 */
export function readPolicies(draft: Draft, located: Located): Readonly<Record<string, Located>> {
  const { reading } = draft;
  const data: Record<string, Located> = {};
  if (located.value === undefined) return data;
  if (!isObject(located.value) && !Array.isArray(located.value)) {
    reading.problem(located, { message: 'has the wrong type', expected: 'an object or a list' });
    return data;
  }
  const policies = draft.object('policies', located);
  for (const [key, entry] of entries(located)) {
    if (reading.isFull) break;
    if (typeof key === 'string' && isData(reading, key, entry)) {
      data[key] = entry;
      continue;
    }
    const values =
      isObject(entry.value) && isObject(entry.value.values) ? at(entry, 'values') : entry;
    const nameAt = at(values, 'name');
    const name = typeof key === 'string' ? key : nameAt.value;
    if (typeof name !== 'string') {
      reading.problem(nameAt, {
        message: nameAt.value === undefined ? 'is missing' : 'has the wrong type',
        expected: `the hook: one of: ${hookNames.join(', ')}`,
      });
    } else if (nameAt.value !== undefined && nameAt.value !== name) {
      reading.problem(nameAt, { message: 'differs from its key', expected: `'${name}'` });
    } else if (Object.hasOwn(policies.value, name)) {
      reading.problem(nameAt, { message: `hook '${name}' already has a policy; keep one of them` });
    } else if (checkHook(reading, name, typeof key === 'string' ? entry : nameAt)) {
      readReference(policies, name, entry, true);
    }
  }
  return data;
}
