import { parseArgs } from 'node:util';
import { type RandomModelName, randomModel, randomModelSizes } from '../../support/random-model.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';

/** What every benchmark of models takes on its command line; all but the model are lists or numbers. */
export interface BenchOptions {
  readonly model: string;
  readonly shards: readonly number[];
  /** As `aios split --dtype` takes them. */
  readonly dtypes: readonly string[];
  readonly tokens: number;
  readonly rounds: number;
}

const known = ['tiny', ...Object.keys(randomModelSizes)];

/** Reads `--model NAME --shards 1,2 --dtype fp32,int4 --tokens N --rounds N`; ends the process over anything else. */
export function readOptions(defaults: BenchOptions): BenchOptions {
  try {
    const { values } = parseArgs({
      options: {
        model: { type: 'string', default: defaults.model },
        shards: { type: 'string', default: defaults.shards.join() },
        dtype: { type: 'string', default: defaults.dtypes.join() },
        tokens: { type: 'string', default: String(defaults.tokens) },
        rounds: { type: 'string', default: String(defaults.rounds) },
      },
    });
    if (!known.includes(values.model)) throw new Error(`models are ${known.join(', ')}`);
    return {
      model: values.model,
      shards: values.shards.split(',').map(count),
      dtypes: values.dtype.split(','),
      tokens: count(values.tokens),
      rounds: count(values.rounds),
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`expected whole numbers from 1, got '${text}'`);
}

/** @returns the folder of a model's checkpoint, written on first use */
export const modelFolder = (model: string): Promise<string> =>
  model === 'tiny' ? Promise.resolve(tinyAssistantFolder) : randomModel(model as RandomModelName);

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** A line of a table: each text right-aligned in its width. */
export const row = (...cells: readonly (readonly [text: string, width: number])[]): string =>
  cells.map(([text, width]) => text.padStart(width)).join('');
