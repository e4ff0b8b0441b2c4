import { componentUri } from '../ids.ts';
import { checkComponentDefaults } from '../protocol.ts';
import { componentSpec } from './component.ts';
import { readIdentity, releaseTagNames } from './identity.ts';
import { isObject, withDefault } from './located.ts';
import { readPolicies } from './policy-references.ts';
import { readProtocol } from './read-protocol.ts';
import { type Draft, Fields } from './reading.ts';
import type { DocumentReader, Source } from './source.ts';

/** Plain name → AIOS name. */
const protocolNames = {
  inputProtocol: 'componentInputProtocol',
  outputProtocol: 'componentOutputProtocol',
  settingsProtocol: 'componentInitSettingsProtocol',
  parametersProtocol: 'componentInitParametersProtocol',
} as const;

function readComponentIdentity(source: Source): void {
  const { draft, fields, reading } = source;
  const id = fields.take('componentId');
  const componentType = fields.take('componentType');
  const uri = source.pick('uri', 'componentURI');
  if (id.value !== undefined || (source.isAios && uri.value === undefined)) {
    if (id.value === undefined) {
      reading.problem(id, { message: 'is missing', expected: 'name, version and releaseTag' });
      for (const piece of ['name', 'version', 'releaseTag']) reading.follows(piece);
    }
    const nested = new Fields(reading, withDefault(id, {}));
    const name = nested.take('name');
    const version = nested.take('version');
    const releaseTag = nested.take(...releaseTagNames);
    nested.done();
    readIdentity(draft, { uri, componentType, name, version, releaseTag }, componentUri);
    return;
  }
  const name = fields.take('name');
  const version = fields.take('version');
  const tag = fields.take('releaseTag');
  const releaseTag = uri.value === undefined ? withDefault(tag, 'stable') : tag;
  readIdentity(draft, { uri, componentType, name, version, releaseTag }, componentUri);
}

/** AIOS's image coordinates. Its documentation writes `third-party` and `containerImage`, its code `image`. */
function readImage(draft: Draft, fields: Fields): void {
  draft.put('image', fields.take('containerImage', 'image'));
  draft.put('registryId', fields.take('containerRegistryId'));
  draft.put('metadata', fields.take('containerImageMetadata'));
}

function readContainer(source: Source): void {
  const { draft, fields, reading } = source;
  const plain = fields.take('container');
  const info = fields.take('containerRegistryInfo');
  if (info.value === undefined) {
    draft.put('container', plain);
    return;
  }
  const container = draft.object('container', info);
  const image = new Fields(reading, info);
  readImage(container, image);
  const mode = image.take('componentMode');
  container.put('mode', mode, mode.value === 'third-party' ? 'third_party' : mode.value);
  const init = image.take('initContainer');
  const hasInit = isObject(init.value) && Object.keys(init.value).length > 0;
  if (hasInit) {
    const initFields = new Fields(reading, init);
    readImage(container.object('initContainer', init), initFields);
    initFields.done();
  } else if (container.value.mode === 'third_party') {
    reading.problem(init, {
      message: 'is missing',
      expected: 'the image a third_party component starts',
    });
  }
  image.done();
}

/** Published components keep data such as `resource_affinity` among their policies. */
function readComponentPolicies(source: Source): void {
  const { draft, reading } = source;
  const data = Object.entries(readPolicies(draft, source.fields.take('policies')));
  const { metadata } = draft.value;
  if (data.length === 0 || (metadata !== undefined && !isObject(metadata))) return;
  const kept: Record<string, unknown> = { ...metadata };
  for (const [name, located] of data) {
    const taken = Object.hasOwn(kept, name);
    reading.warn(
      located,
      taken
        ? 'is no policy, and the metadata has a key of that name; it is ignored'
        : `is no policy; it is kept as metadata.${name}`,
    );
    if (!taken) kept[name] = located.value;
  }
  draft.value.metadata = kept;
}

function checkWorkload(source: Source): void {
  const { draft, reading, fields } = source;
  const given = ['artifact', 'stage', 'graph', 'container'].filter(
    (key) => draft.value[key] !== undefined,
  );
  if (given.length > 1) {
    reading.problem(fields.take(given[1] ?? 'container'), {
      message: `stands beside '${given[0]}'; a component runs one of artifact, stage, graph and container`,
    });
  }
  if (given.length === 0) {
    reading.warn(
      fields.located,
      'has no artifact, stage, graph or container: its blocks have nothing to run',
    );
  }
}

function checkDefaults(source: Source): void {
  const { draft, reading } = source;
  const valid = Object.keys(protocolNames).every((key) => !reading.explains([key]));
  if (!valid) return;
  reading.warnings.push(...checkComponentDefaults(draft.value, (plain) => reading.locate(plain)));
}

export const componentReader: DocumentReader<typeof componentSpec> = {
  schema: componentSpec,
  aiosKeys: [
    'componentId',
    'componentURI',
    'containerRegistryInfo',
    'componentMetadata',
    'componentInitData',
    'componentInitSettings',
    'componentParameters',
    ...Object.values(protocolNames),
  ],
  read(source) {
    const { draft } = source;
    readComponentIdentity(source);
    readContainer(source);
    source.copy('artifact', 'stage', 'graph', 'tags');
    draft.put('metadata', source.pick('metadata', 'componentMetadata'));
    draft.put('initData', source.pick('initData', 'componentInitData'));
    draft.put('settings', source.pick('settings', 'componentInitSettings'));
    draft.put('parameters', source.pick('parameters', 'componentParameters'));
    for (const [plainName, aiosName] of Object.entries(protocolNames)) {
      readProtocol(source, plainName, aiosName);
    }
    const commands = source.pick('managementCommands', 'componentManagementCommandsTemplate');
    draft.put('managementCommands', commands);
    readComponentPolicies(source);
    checkWorkload(source);
    checkDefaults(source);
    return undefined;
  },
};
