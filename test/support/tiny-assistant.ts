import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The shipped model and the answers an independent implementation gave for it. */
export const tinyAssistantFolder = resolve(
  import.meta.dirname,
  '../../examples/models/tiny-assistant',
);

export interface GoldenRow {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly maxTokens: number | null;
  readonly ignoreEos: boolean;
  readonly prompt: string;
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
  readonly finish: 'stop' | 'length';
  readonly exact: number;
  readonly top5LogitsFirst: readonly (readonly [token: number, logit: number])[];
  readonly top5LogitsAt: number;
  readonly top5Logits: readonly (readonly [token: number, logit: number])[];
}

export interface Golden {
  readonly eosTokenId: number;
  readonly contextTokens: number;
  readonly rows: readonly GoldenRow[];
}

export const tinyAssistantFile = (name: string): Buffer =>
  readFileSync(join(tinyAssistantFolder, name));

export const readGolden = (): Golden =>
  JSON.parse(tinyAssistantFile('golden.json').toString('utf8')) as Golden;
