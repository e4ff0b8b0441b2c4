import { PolicyError, type Problem } from '../../sdk/errors.ts';
import { type HookName, hooks } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { CatalogEntry } from './catalog.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** The URI that counts: the use site's, else the cluster's or network's default, else the hook's. */
export const chosenUri = (
  hook: HookName,
  reference: PolicyReference | undefined,
  defaults: PolicyReference | undefined,
): string => reference?.policyRuleURI ?? defaults?.policyRuleURI ?? hooks[hook].defaultPolicy;

interface Configuration {
  readonly parameters: JsonObject;
  readonly settings: JsonObject;
}

/**
 * Merges what a policy is configured with, key by key: the use site's over the defaults' over the policy's own, and the
 * schema's defaults below all. Defaults that name another policy than the use site do not count.
 *
 * @returns what is wrong with it, or the checked maps
 */
export function configure(
  policy: CatalogEntry,
  reference: PolicyReference | undefined,
  defaults: PolicyReference | undefined,
): { readonly value?: Configuration; readonly problems: readonly Problem[] } {
  const shared =
    defaults?.policyRuleURI === undefined ||
    reference?.policyRuleURI === undefined ||
    defaults.policyRuleURI === reference.policyRuleURI
      ? defaults
      : undefined;
  const path = `$.policies.${policy.hook}`;
  const parameters = policy.checkParameters(
    { ...policy.parameters, ...shared?.parameters, ...reference?.parameters },
    `${path}.parameters`,
  );
  const settings = policy.checkSettings(
    { ...policy.settings, ...shared?.settings, ...reference?.settings },
    `${path}.settings`,
  );
  const problems = [...(parameters.problems ?? []), ...(settings.problems ?? [])];
  return parameters.value && settings.value
    ? { value: { parameters: parameters.value, settings: settings.value }, problems }
    : { problems };
}

/** @throws {PolicyError} SPEC_INVALID with every problem */
export function assertConfigured(
  policy: CatalogEntry,
  reference: PolicyReference | undefined,
  defaults: PolicyReference | undefined,
): Configuration {
  const { value, problems } = configure(policy, reference, defaults);
  if (value) return value;
  const [first] = problems;
  throw new PolicyError(
    'SPEC_INVALID',
    `policy '${policy.uri}' cannot be run as configured: ${first ? `${first.path} ${first.message}` : ''}.`,
    { problems },
  );
}
