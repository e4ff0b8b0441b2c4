import { hookNames } from '../hooks.ts';
import { policyUri } from '../ids.ts';
import { executionTypes } from './execution.ts';
import { readIdentity, releaseTagNames } from './identity.ts';
import { at, isObject, withDefault } from './located.ts';
import { policySpec } from './policy.ts';
import { readProtocol } from './read-protocol.ts';
import type { DocumentReader, Source } from './source.ts';

const pythonReason =
  'AIOS policy archives hold Python, which is not run here; write the policy with definePolicy in TypeScript and upload it with: aios create-policy FILE';

function readHook(source: Source): void {
  const hook = source.fields.take('hook');
  source.draft.put('hook', hook);
  if (typeof hook.value !== 'string' || (hookNames as readonly string[]).includes(hook.value))
    return;
  source.reading.problem(hook, { message: 'is no hook' }, hookNames);
}

/** Names that AIOS's documents use for the same. */
const executionAliases: Readonly<Record<string, string>> = {
  code: 'local',
  central: 'remote',
  faas: 'function',
};

/** An object, or the type alone where it needs nothing else. */
function readExecution({ draft, fields, reading }: Source): void {
  const execution = fields.take('execution', 'executionMode');
  const { value, path } = execution;
  if (value === undefined) return;
  const given = isObject(value) ? at(execution, 'type') : execution;
  const name = typeof given.value === 'string' ? given.value : '';
  const type = Object.hasOwn(executionAliases, name) ? executionAliases[name] : name;
  if (!(executionTypes as readonly unknown[]).includes(type)) {
    const message = given.value === undefined ? 'is missing' : 'is no type of execution';
    reading.problem(given, { message }, executionTypes);
    reading.follows('execution');
    reading.follows('artifact');
    return;
  }
  draft.put('execution', { path, value }, isObject(value) ? { ...value, type } : { type });
}

/** AIOS writes one text with commas. */
function readTags(source: Source): void {
  const tags = source.fields.take('tags');
  const list =
    typeof tags.value === 'string' ? tags.value.split(',').map((tag) => tag.trim()) : tags.value;
  source.draft.put('tags', tags, Array.isArray(list) ? list.filter((tag) => tag !== '') : list);
}

function readCode(source: Source): void {
  const { draft, fields, reading } = source;
  const artifact = fields.take('artifact');
  draft.put('artifact', artifact);
  const code = fields.take('code');
  if (code.value === undefined) return;
  reading.problem(code, { message: pythonReason, expected: 'artifact: {hash, entry}' });
  // Both follow from the same mistake.
  if (artifact.value === undefined) reading.follows('artifact');
  if (!fields.has('hook')) reading.follows('hook');
}

export const policyReader: DocumentReader<typeof policySpec> = {
  schema: policySpec,
  aiosKeys: ['release_tag', 'policy_rule_uri', 'code', 'code_type', 'policy_input_schema'],
  read(source) {
    const { draft, fields } = source;
    const uri = source.pick('uri', 'policy_rule_uri');
    const tag = fields.take(...releaseTagNames);
    const isDefaulted = uri.value === undefined && !source.isAios;
    readIdentity(
      draft,
      {
        uri,
        name: fields.take('name'),
        version: fields.take('version'),
        releaseTag: isDefaulted ? withDefault(tag, 'stable') : tag,
      },
      policyUri,
    );
    readHook(source);
    readCode(source);
    source.copy('description');
    draft.put('parameters', source.pick('parameters', 'policy_parameters'));
    draft.put('settings', source.pick('settings', 'policy_settings'));
    readProtocol(source, 'parametersSchema', 'policy_parameters_schema');
    readProtocol(source, 'settingsSchema', 'policy_settings_schema');
    readExecution(source);
    if (draft.value.hook === 'function') {
      readProtocol(source, 'inputSchema', 'policy_input_schema');
      readProtocol(source, 'outputSchema', 'policy_output_schema');
    } else {
      source.copy('inputSchema', 'outputSchema');
    }
    readTags(source);
    fields.ignore(
      'is an AIOS key that nothing reads: the hook fixes input and output; it is ignored',
      ...['policy_input_schema', 'policy_output_schema', 'management_commands_schema'],
      ...['type', 'code_type', 'functionality_data', 'resource_estimates'],
    );
    const metadata = fields.take('metadata');
    if (isObject(metadata.value) && Object.keys(metadata.value).length > 0) {
      source.reading.warn(metadata, 'is not kept for policies');
    }
    return undefined;
  },
};
