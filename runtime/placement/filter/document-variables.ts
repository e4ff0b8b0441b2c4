import type { FilterSubject } from './cluster-variables.ts';
import { asNumber } from './coerce.ts';
import type { Variable, VariableType, Vocabulary } from './subject.ts';
import { numberVariable, openVariable } from './variable.ts';

/** What a query over stored documents looks at. */
export interface EntitySubject {
  /** As stored, in either dialect, or a status with a `spec`. */
  readonly document?: unknown;
  /** Its metrics document; without one no condition on metrics holds but `!=`. */
  readonly metrics?: unknown;
  /** Of a block: the cluster that it runs on. */
  readonly cluster?: FilterSubject;
}

/** A key of one kind of document: the names that it goes by, in either dialect, and what it must hold. */
interface DocumentKey {
  readonly names: readonly string[];
  readonly type?: VariableType;
}

const key = (type: VariableType | undefined, ...names: string[]): DocumentKey => ({
  names,
  ...(type ? { type } : {}),
});
const open = (...names: string[]): DocumentKey => key(undefined, ...names);
const text = (...names: string[]): DocumentKey => key('text', ...names);
const number = (...names: string[]): DocumentKey => key('number', ...names);

export const documentKinds = {
  block: [
    text('id', 'blockId'),
    text('componentUri', 'blockComponentURI', 'componentURI'),
    text('blockUri'),
    text('state'),
    text('clusterId'),
    text('reason'),
    number('minInstances'),
    number('maxInstances'),
    number('threads'),
    number('priority'),
    number('revision'),
    open('initData', 'blockInitData'),
    open('settings', 'initSettings'),
    open('policies', 'policyRulesSpec'),
    open('metadata', 'blockMetadata'),
    ...['component', 'cluster', 'parameters', 'resources', 'placement', 'instances', 'tags'].map(
      (name) => open(name),
    ),
    ...['inputProtocol', 'outputProtocol'].map((name) => open(name)),
  ],
  vdag: [
    text('uri', 'vdagURI'),
    text('name', 'vdagName', 'vdag_name'),
    open('version', 'vdagVersion', 'vdag_version'),
    text('releaseTag'),
    open('tags', 'discoveryTags'),
    open('edges', 'graph'),
    open('ready'),
    text('status'),
    number('revision'),
    open('compiled_graph_data'),
    open('assignment_info'),
    ...['nodes', 'controller', 'generation', 'metadata', 'waitingFor'].map((name) => open(name)),
  ],
  component: [
    text('uri', 'componentURI'),
    text('componentType'),
    text('name'),
    text('version'),
    text('releaseTag'),
    open('componentId'),
    open('metadata', 'componentMetadata'),
    open('initData', 'componentInitData'),
    open('settings', 'componentInitSettings'),
    open('parameters', 'componentInitParameters'),
    open('inputProtocol', 'componentInputProtocol'),
    open('outputProtocol', 'componentOutputProtocol'),
    open('settingsProtocol', 'componentInitSettingsProtocol'),
    open('parametersProtocol', 'componentInitParametersProtocol'),
    open('managementCommands', 'componentManagementCommandsTemplate'),
    open('container', 'containerRegistryInfo'),
    ...['artifact', 'stage', 'graph', 'policies', 'tags'].map((name) => open(name)),
    ...['createdAt', 'lastModifiedAt'].map((name) => open(name)),
  ],
  policy: [
    text('uri', 'policy_rule_uri'),
    text('name'),
    text('version'),
    text('releaseTag', 'release_tag'),
    text('hook'),
    text('description'),
    text('type'),
    open('parameters', 'policy_parameters'),
    open('settings', 'policy_settings'),
    open('parametersSchema', 'policy_parameters_schema'),
    open('settingsSchema', 'policy_settings_schema'),
    open('policy_input_schema'),
    open('policy_output_schema'),
    open('management_commands_schema'),
    ...['tags', 'metadata', 'artifact', 'code', 'code_type'].map((name) => open(name)),
    ...['functionality_data', 'resource_estimates'].map((name) => open(name)),
  ],
  policyFunction: [
    text('id', 'function_id'),
    text('executorId', 'function_executor_id'),
    text('executorUri', 'function_executor_uri'),
    open('metadata', 'function_metadata'),
    open('tags', 'function_tags'),
    text('policyUri', 'function_policy_rule_uri'),
    open('policy', 'function_policy_data'),
  ],
  policyGraph: [
    text('uri', 'graph_uri'),
    text('name', 'graph_name'),
    text('version', 'graph_version'),
    text('releaseTag', 'graph_release_tag'),
    open('metadata', 'graph_metadata'),
    open('functionIds', 'graph_function_ids'),
    open('connections', 'graph_connection_data'),
    open('tags', 'graph_search_tags'),
    text('description', 'graph_description'),
    open('inputSchema', 'graph_input_schema'),
    open('outputSchema', 'graph_output_schema'),
  ],
} satisfies Readonly<Record<string, readonly DocumentKey[]>>;
export type DocumentKind = keyof typeof documentKinds;

export const metricsKinds = {
  block: [text('blockId'), open('instances')],
  vdag: [
    text('vdagURI', 'uri'),
    text('vdagControllerId'),
    number('timestamp'),
    ...['inference_requests_total', 'inference_latency_seconds', 'inference_fps'].map((name) =>
      number(name),
    ),
    open('type'),
  ],
} satisfies Readonly<Record<string, readonly DocumentKey[]>>;

/** Deeper than the top, where a document's own schema does not tell. */
const typeBelow: Readonly<Record<string, VariableType>> = {
  'resources.memoryBytes': 'bytes',
  'resources.cpuCores': 'number',
};

/** Follows keys, through lists too: `instances.on_data_fps` of a list of instances is a list of numbers. */
function project(value: unknown, path: readonly string[], from = 0): unknown {
  let at = value;
  for (let depth = from; depth < path.length; depth += 1) {
    if (Array.isArray(at)) {
      return at.flatMap((each) => project(each, path, depth) ?? []);
    }
    const name = path[depth] ?? '';
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at ?? undefined;
}

type Holder = 'document' | 'metrics';

/** The value under the first of the names that is there; of a status, in its spec. */
function rootOf(holder: unknown, names: readonly string[]): unknown {
  for (const name of names) {
    const value = project(holder, [name]) ?? project(holder, ['spec', name]);
    if (value !== undefined) return value;
  }
  return undefined;
}

function clusterOf({ document, cluster }: EntitySubject): unknown {
  const id = project(document, ['clusterId']);
  return rootOf(document, ['cluster']) ?? cluster?.spec ?? (id === undefined ? undefined : { id });
}

/** @param what - for error texts */
export function documentVocabulary(
  what: string,
  holder: Holder,
  keys: readonly DocumentKey[],
): Vocabulary<EntitySubject> {
  const names = keys.flatMap((each) => each.names);
  const byName = new Map(keys.flatMap((each) => each.names.map((name) => [name, each] as const)));
  const find = (name: string): Variable<EntitySubject> | undefined => {
    const [top = '', ...path] = name.split('.');
    const found = byName.get(top);
    if (!found || path.includes('')) return undefined;
    const isCluster = holder === 'document' && top === 'cluster';
    const read = (subject: EntitySubject): unknown =>
      project(isCluster ? clusterOf(subject) : rootOf(subject[holder], found.names), path);
    const type = path.length === 0 ? found.type : typeBelow[name];
    return type === 'number' || type === 'bytes'
      ? numberVariable((subject) => asNumber(read(subject)), type)
      : openVariable(read, type);
  };
  return {
    what,
    names,
    examples: names.slice(0, 3).join(', '),
    listExamples: holder === 'metrics' ? 'instances or instances.on_data_fps' : 'tags',
    find,
  };
}
