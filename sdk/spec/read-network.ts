import { entries, isObject, type Located } from './located.ts';
import { networkSpec } from './network.ts';
import { readPolicies, readReference } from './policy-references.ts';
import { readPreChecks } from './read-pre-checks.ts';
import type { DocumentReader, Source } from './source.ts';

function readTemplates({ draft, reading }: Source, templates: Located): void {
  if (templates.value === undefined) return;
  if (!isObject(templates.value)) {
    const expected = 'an object by template URI';
    reading.problem(templates, { message: 'has the wrong type', expected });
    return;
  }
  const section = draft.object('templates', templates);
  for (const [name, reference] of entries(templates)) {
    if (reading.isFull) break;
    if (typeof reference.value === 'string') {
      section.object(String(name), reference).put('policyRuleURI', reference);
    } else readReference(section, String(name), reference);
  }
}

export const networkReader: DocumentReader<typeof networkSpec> = {
  schema: networkSpec,
  aiosKeys: [],
  read(source) {
    const { draft, fields, reading } = source;
    for (const [hook, data] of Object.entries(readPolicies(draft, fields.take('policies')))) {
      const message = `hook '${hook}' does not exist, or has no policy`;
      reading.problem(data, { message, expected: 'a hook with {policyRuleURI, …}' });
    }
    readPreChecks(draft, fields.take('preChecks', 'actionsPolicyMap'));
    readTemplates(source, fields.take('templates'));
    return undefined;
  },
};
