import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, SpecError } from '../../sdk/errors.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { Json } from '../../sdk/packet.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { builtInTemplate } from '../../sdk/spec/source.ts';
import type { NewDecision } from '../decision/index.ts';
import type { PolicyHost } from '../policy/host.ts';

export interface TemplateOptions {
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  readonly templates: (tenant: string) => Readonly<Record<string, PolicyReference>>;
  readonly inventoryRevision: () => number;
  readonly record: (decision: NewDecision) => unknown;
}

/** Turns a document of a template into one that the readers know; any other is itself. @throws {AiosError} SPEC_INVALID */
export type ExpandTemplate = (tenant: string, kind: string, document: unknown) => Promise<unknown>;

function headerOf(
  document: unknown,
): { readonly key: string; readonly value: unknown } | undefined {
  if (typeof document !== 'object' || document === null) return undefined;
  for (const key of ['header', 'head'] as const) {
    const header = (document as Readonly<Record<string, unknown>>)[key];
    if (typeof header !== 'object' || header === null || !Object.hasOwn(header, 'templateUri')) {
      continue;
    }
    return { key, value: (header as { readonly templateUri?: unknown }).templateUri };
  }
  return undefined;
}

export function createTemplates(options: TemplateOptions): ExpandTemplate {
  return async (tenant, kind, document) => {
    const header = headerOf(document);
    const templateUri = header?.value;
    if (!header || typeof templateUri !== 'string') return document;
    if (templateUri === '' || templateUri === builtInTemplate) return document;
    const templates = options.templates(tenant);
    const reference = Object.hasOwn(templates, templateUri) ? templates[templateUri] : undefined;
    if (!reference) {
      const known = [builtInTemplate, ...Object.keys(templates)];
      const close = nearest(templateUri, known);
      const problem = {
        path: `$.${header.key}.templateUri`,
        message: `there is no template '${templateUri.slice(0, 200)}'`,
        expected: `one of: ${known.join(', ')}; add one with: aios network set`,
        seen: JSON.stringify(templateUri.slice(0, 80)),
        ...(close === undefined ? {} : { nearest: close }),
      };
      throw new SpecError('SPEC_INVALID', `the ${kind} document: ${problem.message}.`, {
        problems: [problem],
      });
    }
    assertBounded(kind, document);
    const subject = `template/${templateUri}`;
    const record = (
      outcome: 'answered' | 'failed',
      message: string,
      evaluation?: PolicyEvaluation,
    ) =>
      options.record({
        ...{ tenant, kind: 'template', subject, reason: 'request', outcome, message },
        evaluations: evaluation ? [evaluation] : [],
      });
    try {
      const { output, evaluation } = await options.policies.evaluate({
        ...{ tenant, hook: 'template' as const, action: 'execute' as const, reference },
        input: { action: 'execute', templateUri, spec: document as Json },
        useSite: subject,
        inventoryRevision: options.inventoryRevision(),
      });
      record(
        'answered',
        `a ${kind} of template '${templateUri}' by '${evaluation.policyUri}'`,
        evaluation,
      );
      return withoutTemplate(output.document, templateUri);
    } catch (fault) {
      const error = AiosError.from(fault);
      record('failed', error.message, error.details.evaluation as PolicyEvaluation | undefined);
      throw error;
    }
  };
}

/** What a template gives back may still carry its name, as `plain-document` leaves it: that was answered. */
function withoutTemplate(document: unknown, templateUri: string): unknown {
  const header = headerOf(document);
  if (header?.value !== templateUri) return document;
  const { [header.key]: _, ...rest } = document as Readonly<Record<string, unknown>>;
  return rest;
}
