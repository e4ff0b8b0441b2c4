import { numeric } from './numbers.ts';

/** How a model is cut, in the words of every command that splits. */
export const cutOptions = {
  shards: { ...numeric('--shards', { least: 1, whole: true }), describe: 'How many' },
  cut: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'Tensors of an ONNX graph to cut at, separated by commas; may be repeated',
  },
  fit: {
    type: 'string',
    array: true,
    nargs: 1,
    describe: 'A cluster whose nodes’ free memory they must fit; may be repeated',
  },
} as const;

/** `--cut a,b --cut c` */
export const cutTensorsOf = (cut: readonly string[] | undefined): readonly string[] =>
  cut?.flatMap((names) => names.split(',')).filter(Boolean) ?? [];
