/** One value of an answer: partial results, then the answer itself. */
export interface AnswerPart {
  readonly final: boolean;
  readonly data: unknown;
}

/** One run of a packet that any number of callers read from its beginning: a packet sent twice is computed once. */
export interface SharedAnswer {
  /** Everything from the first part on. The run is aborted when its last reader leaves before the end. */
  read(signal: AbortSignal): AsyncGenerator<AnswerPart>;
  /** Nobody waited for it any more and it was aborted: whoever comes now wants another. */
  readonly abandoned: boolean;
  /** Settles when the run has ended; true when it gave its answer. */
  readonly done: Promise<boolean>;
  /** Size of what came so far, as JSON. */
  characters(): number;
}

/** @param run - starts at once; `signal` aborts when nobody reads any more */
export function shareAnswer(run: (signal: AbortSignal) => AsyncIterable<AnswerPart>): SharedAnswer {
  const parts: AnswerPart[] = [];
  const everyone = new AbortController();
  const waiting = new Set<() => void>();
  let readers = 0;
  let ended = false;
  let failure: { readonly error: unknown } | undefined;

  const wake = () => {
    for (const resume of waiting) resume();
    waiting.clear();
  };
  const collect = async (): Promise<boolean> => {
    try {
      for await (const part of run(everyone.signal)) {
        parts.push(part);
        wake();
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    wake();
    return failure === undefined;
  };
  const done = collect();

  return {
    done,
    get abandoned() {
      return everyone.signal.aborted;
    },
    characters: () => JSON.stringify(parts).length,
    async *read(signal) {
      readers += 1;
      signal.addEventListener('abort', wake);
      try {
        for (let index = 0; ; ) {
          signal.throwIfAborted();
          const part = parts[index];
          if (part) {
            yield part;
            index += 1;
          } else if (ended) {
            if (failure) throw failure.error;
            return;
          } else {
            await new Promise<void>((resolve) => waiting.add(resolve));
          }
        }
      } finally {
        readers -= 1;
        signal.removeEventListener('abort', wake);
        if (readers === 0 && !ended) everyone.abort(signal.reason);
      }
    },
  };
}
