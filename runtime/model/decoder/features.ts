import { type Problem, shorten } from '../../../sdk/errors.ts';
import type { HuggingFaceConfig } from './config-document.ts';
import { ropesOf, ropeTypes } from './rope.ts';

export type Activation = 'silu' | 'gelu-tanh';

/** Names in `hidden_act`. */
const activations: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu_pytorch_tanh: 'gelu-tanh',
};

const layerTypes = ['full_attention', 'sliding_attention'];

const activationName = (raw: HuggingFaceConfig) => raw.hidden_activation ?? raw.hidden_act;

/** @returns undefined - one that is not computed */
export function activationOf(raw: HuggingFaceConfig): Activation | undefined {
  const name = activationName(raw);
  return Object.hasOwn(activations, name) ? activations[name] : undefined;
}

const isAbsent = (value: unknown) => value === undefined || value === null;
const listed = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ');

/** @returns what the graph cannot compute, each with the setting that asks for it */
export function unsupportedFeatures(raw: HuggingFaceConfig): Problem[] {
  const otherRope = ropesOf(raw).find(({ type }) => !ropeTypes.includes(type));
  const otherLayer = raw.layer_types?.find((type) => !layerTypes.includes(type));
  const settings: [key: string, supported: boolean, expected: string, seen: unknown][] = [
    [
      raw.hidden_activation ? 'hidden_activation' : 'hidden_act',
      activationOf(raw) !== undefined,
      listed(Object.keys(activations)),
      activationName(raw),
    ],
    ['rope_scaling.rope_type', !otherRope, listed(ropeTypes), otherRope?.type],
    ['layer_types', otherLayer === undefined, listed(layerTypes), otherLayer],
    [
      'use_bidirectional_attention',
      isAbsent(raw.use_bidirectional_attention) || raw.use_bidirectional_attention === false,
      'false: a token sees those before it',
      raw.use_bidirectional_attention,
    ],
    [
      'quantization_config',
      isAbsent(raw.quantization_config),
      'none: weights in F32, F16 or BF16',
      raw.quantization_config,
    ],
  ];
  return settings
    .filter(([, supported]) => !supported)
    .map(([key, , expected, seen]) => ({
      path: `config.json: $.${key}`,
      message: 'is a feature this splitter does not compute.',
      expected,
      seen: shorten(seen),
    }));
}
