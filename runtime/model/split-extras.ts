import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { AiosError, type Problem, SplitError } from '../../sdk/errors.ts';
import type {
  SplitLayerContext,
  SplitModelContext,
  SplitTaskContext,
} from '../../sdk/split-context.ts';
import type { ModelOutline, SplitContext, Splitter } from '../../sdk/splitter.ts';
import { fillHashes } from './complete-plan.ts';
import { readJsonFile } from './config-file.ts';
import { hashBytes } from './hash.ts';
import { encodeOnnxModel } from './onnx/model.ts';
import { createOnnxPlan } from './onnx-cut/onnx-plan.ts';
import { createSplitPlan, modelNameOf } from './split-plan.ts';
import { invalidModel } from './split-problems.ts';

const maxFiles = 10_000;
const maxJsonBytes = 64 * 2 ** 20;
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/;

export type SplitExtras = Pick<SplitContext, 'task' | 'model' | 'layers' | 'tools'>;

export interface SplitExtrasOptions
  extends Pick<SplitContext, 'modelFolder' | 'maxSessions' | 'planner' | 'hashFile'> {
  /** @default a split on this machine alone */
  readonly task?: SplitTaskContext;
  /** @default nothing is known */
  readonly layers?: SplitLayerContext;
  readonly builtins: readonly Splitter[];
  /** What a built-in splitter sees in the model. */
  readonly outline: () => Promise<ModelOutline>;
}

const localTask: SplitTaskContext = { id: 'local', attempt: 1, log: () => undefined };
const noLayers: SplitLayerContext = {
  find: async () => undefined,
  register: async () => undefined,
};

/** What a splitter is given beside where to read and write. */
export function createSplitExtras(options: SplitExtrasOptions): SplitExtras {
  const { planner, maxSessions, hashFile, builtins } = options;
  return {
    task: options.task ?? localTask,
    layers: options.layers ?? noLayers,
    model: modelContext(options.modelFolder, options.outline),
    tools: {
      splitter(name) {
        const found = builtins.find((one) => one.name === name);
        if (found) {
          return {
            ...found,
            finish: async (context, done) =>
              fillHashes(context.outFolder, await found.finish(context, done), context),
          };
        }
        const known = builtins.map((one) => one.name).join(', ');
        throw new AiosError('NOT_FOUND', `there is no splitter '${name}'; expected ${known}.`);
      },
      encodeGraph: (graph) => encodeOnnxModel(graph),
      async describeFile(path) {
        const hash = await hashFile(path);
        return { name: basename(path), hash, sizeBytes: (await stat(path)).size };
      },
      stageHash: (graph, files = []) =>
        hashBytes(graph, files.map(({ name, hash }) => `${name} ${hash}`).join('\n')),
      // The caller knows the splitter's name, and writes it over this.
      createSplitPlan: (parts) =>
        createSplitPlan({ ...parts, splitter: 'custom', planner, maxSessions }),
      createGraphPlan({ outline, shards }) {
        const count = shards.length;
        return createOnnxPlan({
          ...{ planner, outline, maxSessions },
          shards: shards.map(({ graph, ...plan }, index) => ({
            plan,
            graph: { ...graph, index, count },
          })),
        });
      },
    },
  };
}

function modelContext(path: string, outline: SplitModelContext['outline']): SplitModelContext {
  const isFile = async () => (await stat(path).catch(() => undefined))?.isFile() ?? false;
  const folder = async () => ((await isFile()) ? dirname(path) : path);
  return {
    name: modelNameOf(basename(path, extname(path) === '.onnx' ? '.onnx' : '')),
    outline,
    async files() {
      const where = await folder();
      const found: { name: string; sizeBytes: number }[] = [];
      for (const name of (await readdir(where)).sort()) {
        const info = await stat(join(where, name)).catch(() => undefined);
        if (!info?.isFile()) continue;
        found.push({ name, sizeBytes: info.size });
        if (found.length > maxFiles) {
          throw new SplitError('CHECKPOINT_INVALID', `${where} holds more than ${maxFiles} files.`);
        }
      }
      return found;
    },
    async readJson(name, maxBytes = maxJsonBytes) {
      const where = await folder();
      const problems: Problem[] = [];
      if (!plainName.test(name)) {
        const expected = 'the plain name of a file in it';
        problems.push({
          path: JSON.stringify(name.slice(0, 200)),
          message: 'leaves the folder.',
          expected,
        });
        throw invalidModel(where, problems);
      }
      const document = await readJsonFile(where, name, maxBytes, problems);
      if (problems.length > 0) throw invalidModel(where, problems);
      return document;
    },
  };
}
