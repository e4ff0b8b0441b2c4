import { blockSpec } from './block.ts';
import { readPolicies } from './policy-references.ts';
import type { DocumentReader, Source } from './source.ts';

/** Unlike AIOS, which accepts reversed bounds. */
function checkBounds(source: Source): void {
  const { minInstances, maxInstances } = source.draft.value;
  if (typeof minInstances !== 'number' || typeof maxInstances !== 'number') return;
  if (minInstances <= maxInstances) return;
  source.reading.problem(source.fields.take('minInstances'), {
    message: 'is more than maxInstances',
    expected: `at most ${maxInstances}`,
  });
}

export const blockReader: DocumentReader<typeof blockSpec> = {
  schema: blockSpec,
  aiosKeys: ['blockComponentURI', 'blockId', 'policyRulesSpec', 'blockInitData', 'initSettings'],
  read(source) {
    const { draft, fields } = source;
    draft.put('id', source.pick('id', 'blockId'));
    draft.derive('id', source.newBlockId());
    draft.put('componentUri', source.pick('componentUri', 'blockComponentURI'));
    source.copy('minInstances', 'maxInstances', 'resources', 'threads', 'parameters', 'tags');
    source.copy('priority', 'placement');
    draft.put('initData', source.pick('initData', 'blockInitData'));
    draft.put('settings', source.pick('settings', 'initSettings'));
    for (const data of Object.values(
      readPolicies(draft, source.pick('policies', 'policyRulesSpec')),
    )) {
      source.reading.problem(data, {
        message: 'is no policy',
        expected: 'an object with policyRuleURI, parameters or settings',
      });
    }
    checkBounds(source);
    fields.ignore('is a legacy AIOS key; use mode', 'apiMode');
    return source.mode({
      allocate: 'allocate',
      dry_run: 'dry_run',
      select_clusters: 'select_clusters',
    });
  },
};
