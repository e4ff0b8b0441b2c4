import { vdagUri } from '../ids.ts';
import { readIdentity, releaseTagNames } from './identity.ts';
import { isObject, withDefault } from './located.ts';
import { readGraph } from './read-graph.ts';
import { readNode } from './read-vdag-node.ts';
import { Fields } from './reading.ts';
import type { DocumentReader, Source } from './source.ts';
import { vdagSpec } from './vdag.ts';

/** What AIOS takes for a vDAG without `vdagVersion`. */
const aiosVersion = { version: '0.0.1', 'release-tag': 'beta' };

function readVdagIdentity(source: Source): void {
  const { draft, fields, reading } = source;
  const uri = source.pick('uri', 'vdagURI');
  const name = source.pick('name', 'vdagName');
  const nested = fields.take('vdagVersion');
  const plainVersion = fields.take('version');
  const plainTag = fields.take('releaseTag');
  if (nested.value === undefined && (!source.isAios || plainVersion.value !== undefined)) {
    const releaseTag = uri.value === undefined ? withDefault(plainTag, 'stable') : plainTag;
    readIdentity(draft, { uri, name, version: plainVersion, releaseTag }, vdagUri);
    return;
  }
  if (nested.value === undefined && uri.value === undefined) {
    reading.warn(nested, "is missing; AIOS's default of 0.0.1-beta is taken");
  }
  const defaults = uri.value === undefined ? aiosVersion : {};
  const versionFields = new Fields(reading, withDefault(nested, defaults));
  const version = versionFields.take('version');
  const releaseTag = versionFields.take('release-tag', ...releaseTagNames);
  versionFields.done();
  readIdentity(draft, { uri, name, version, releaseTag }, vdagUri);
}

export const vdagReader: DocumentReader<typeof vdagSpec> = {
  schema: vdagSpec,
  aiosKeys: ['vdagName', 'vdagVersion', 'vdagURI', 'graph', 'discoveryTags'],
  read(source) {
    const { draft, fields, reading } = source;
    readVdagIdentity(source);
    draft.each('nodes', fields.take('nodes'), (node, located) => readNode(source, node, located));
    source.copy('generation', 'controller');
    draft.put('tags', source.pick('tags', 'discoveryTags'));
    readGraph(source);
    if (isObject(draft.value.controller) && Object.keys(draft.value.controller).length > 0) {
      reading.warn(fields.take('controller'), 'is kept, but nothing in it is run by this version');
    }
    return source.mode({
      create: 'create',
      validateGraph: 'validateGraph',
      dryRunAssignment: 'dryRunAssignment',
      dryRun: 'dryRun',
      'dry-run': 'dryRun',
    });
  },
};
