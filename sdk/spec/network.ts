import { z } from 'zod';
import { policyReference } from './common.ts';

const references = z.record(z.string(), policyReference).default({});

/** What holds for all clusters, blocks and vDAGs under one control plane. */
export const networkSpec = z.strictObject({
  policies: references.describe(
    "Hook, such as loadBalancer, to its policy where neither the use site nor the cluster has one; parameters and settings are used under the use site's own.",
  ),
  preChecks: references.describe(
    "Action, such as add_block, to the policy that is asked before it; the cluster's own is asked after it.",
  ),
  templates: references.describe(
    'Template, as in header.templateUri, to the policy that turns such documents into ours.',
  ),
});
export type NetworkSpec = z.output<typeof networkSpec>;

/** What a network document may hold. */
export const networkSections = Object.keys(networkSpec.shape) as readonly (keyof NetworkSpec)[];
