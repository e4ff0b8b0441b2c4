import { z } from 'zod';
import { substituteFor } from '../hooks/optional.ts';
import { codeArtifact, jsonObject, policyUri } from './common.ts';
import { policyExecution, runsCode } from './execution.ts';

/** A policy that was uploaded. Built-in ones are passed in by whoever composes the system and have no document. */
export const policySpec = z
  .strictObject({
    uri: policyUri,
    name: z.string(),
    version: z.string(),
    releaseTag: z.string(),
    hook: z.string(),
    description: z.string().default(''),
    execution: policyExecution.default({ type: 'local' }),
    artifact: codeArtifact
      .optional()
      .describe('Its bundled code. Neither a remote policy nor a graph has one.'),
    /** JSON Schemas of the two maps below. */
    parametersSchema: jsonObject.optional(),
    settingsSchema: jsonObject.optional(),
    /** Of what a policy of hook `function` takes and gives; checked at each call. */
    inputSchema: jsonObject.optional(),
    outputSchema: jsonObject.optional(),
    parameters: jsonObject.default({}),
    settings: jsonObject.default({}),
    tags: z.array(z.string()).default([]),
  })
  .superRefine(({ hook, execution, artifact, ...rest }, context) => {
    const problem = (path: readonly PropertyKey[], message: string): void =>
      context.addIssue({ code: 'custom', path: [...path], message });
    const { type } = execution;
    if (runsCode(type) && !artifact) {
      problem(['artifact'], 'is missing: upload the code with aios policy publish FILE');
    } else if (!runsCode(type) && artifact) {
      const message = `is not run: a policy of execution '${type}' has no code here; leave it out`;
      problem(['artifact'], message);
    }
    for (const [index, action] of ('actions' in execution ? execution.actions : []).entries()) {
      if (substituteFor(hook, action)) continue;
      problem(['execution', 'actions', index], `is no optional action of hook '${hook}'`);
    }
    if (hook === 'function') return;
    if (execution.timeLimitMs !== undefined) {
      problem(['execution', 'timeLimitMs'], `is for hook 'function'; '${hook}' has its own limit`);
    }
    for (const key of ['inputSchema', 'outputSchema'] as const) {
      if (rest[key]) problem([key], `is for hook 'function'; '${hook}' fixes input and output`);
    }
  });
export type PolicySpec = z.output<typeof policySpec>;
