import { type Problem, SpecError, shorten } from '../../sdk/errors.ts';
import { hookNames, preCheckActions } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { readNetwork } from '../../sdk/spec/index.ts';
import { type NetworkSpec, networkSections } from '../../sdk/spec/network.ts';
import { actionOf } from '../../sdk/spec/read-pre-checks.ts';

type Section = keyof NetworkSpec;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The one name of an entry; undefined for a name that means nothing. */
function nameOf(section: Section, name: string, current: NetworkSpec): string | undefined {
  if (section === 'preChecks') return actionOf(name);
  const known: readonly string[] =
    section === 'policies' ? hookNames : Object.keys(current.templates);
  return known.includes(name) ? name : undefined;
}

function unknownName(section: Section, name: string, current: NetworkSpec): Problem {
  const known = {
    policies: hookNames,
    preChecks: preCheckActions,
    templates: Object.keys(current.templates),
  }[section];
  const close = nearest(name, known);
  return {
    path: `$.${section}[${JSON.stringify(name)}]`,
    message: 'there is nothing of this name to remove',
    ...(known.length > 0 ? { expected: `one of: ${known.join(', ')}` } : {}),
    ...(close === undefined ? {} : { nearest: close }),
  };
}

/**
 * Merges a patch into the document: entries that it names replace those of that name, `null` removes one, and everything
 * else stays. The result is read like any document.
 *
 * @throws {SpecError} SPEC_INVALID with every problem
 */
export function applyPatch(current: NetworkSpec, patch: unknown): NetworkSpec {
  assertBounded('network', patch);
  // What is no object, or wrapped, is the reader's to judge.
  if (!isObject(patch)) return readNetwork(patch);
  const problems: Problem[] = [];
  const merged: Record<string, unknown> = { ...patch };
  for (const section of networkSections) {
    const changes = patch[section] ?? {};
    if (!isObject(changes)) continue;
    const result: Record<string, unknown> = { ...current[section] };
    for (const [name, change] of Object.entries(changes)) {
      const own = nameOf(section, name, current);
      if (change !== null) {
        if (own !== undefined) delete result[own];
        result[name] = change;
      } else if (own === undefined) problems.push(unknownName(section, name, current));
      else delete result[own];
    }
    merged[section] = result;
  }
  const [first] = problems;
  if (first) {
    const what = shorten(patch);
    throw new SpecError(
      'SPEC_INVALID',
      `the change ${what} of the network has a problem at ${first.path}: ${first.message}.`,
      { problems },
    );
  }
  return readNetwork(merged);
}
