import type { PolicyReference } from '../../sdk/spec/common.ts';

/** References of one level, or of several: the first goes before the others. */
export type Defaults = PolicyReference | readonly PolicyReference[];

const isList = (defaults: Defaults): defaults is readonly PolicyReference[] =>
  Array.isArray(defaults);

/**
 * Several levels of defaults (cluster, then network) as one. The URI is the first that is named, by the use site or a
 * level; a level that names another policy says nothing about the chosen one.
 */
export function foldDefaults(
  reference: PolicyReference | undefined,
  defaults: Defaults | undefined,
): PolicyReference | undefined {
  if (defaults === undefined || !isList(defaults)) return defaults;
  const uri =
    reference?.policyRuleURI ??
    defaults.find(({ policyRuleURI }) => policyRuleURI !== undefined)?.policyRuleURI;
  const about = defaults.filter(
    ({ policyRuleURI }) => policyRuleURI === undefined || policyRuleURI === uri,
  );
  if (about.length === 0) return undefined;
  const weakestFirst = [...about].reverse();
  return {
    ...(uri === undefined ? {} : { policyRuleURI: uri }),
    parameters: Object.assign({}, ...weakestFirst.map(({ parameters }) => parameters)),
    settings: Object.assign({}, ...weakestFirst.map(({ settings }) => settings)),
  };
}
