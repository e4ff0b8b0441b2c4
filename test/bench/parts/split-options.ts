import type { SplitModelOptions } from '../../../runtime/model/index.ts';

/** What `splitModel` is given for a `--dtype`: nothing where the checkpoint's own numbers are used. */
export function splitOptions(dtype: string): Partial<SplitModelOptions> {
  return dtype === 'fp32' ? {} : ({ dtype } as Partial<SplitModelOptions>);
}

/** The same for `aios split`. */
export const splitFlags = (dtype: string): readonly string[] =>
  dtype === 'fp32' ? [] : ['--dtype', dtype];
