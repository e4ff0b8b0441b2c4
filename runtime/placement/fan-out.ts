const atOnce = 16;

async function beforeLimit(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * Asks about many things at once, at most 16 at a time.
 *
 * @param late - what stands for those that have not answered when the time is over; they go on, and nobody listens
 * @returns an answer each, in order
 */
export async function fanOut<T, R>(
  things: readonly T[],
  limitMs: number,
  ask: (thing: T) => Promise<R>,
  late: (thing: T) => R,
): Promise<readonly R[]> {
  const [only, ...others] = things;
  if (only === undefined) return [];
  const answers: (R | undefined)[] = things.map(() => undefined);
  let next = 0;
  let over = false;
  const work = async (): Promise<void> => {
    while (next < things.length && !over) {
      const at = next;
      next += 1;
      const answer = await ask(things[at] as T);
      if (!over) answers[at] = answer;
    }
  };
  const all = Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, work));
  try {
    // A policy of the platform's own thread has its own limit, and a timer a placement would be dear.
    await (others.length === 0 ? all : beforeLimit(all, limitMs));
  } finally {
    over = true;
  }
  return things.map((thing, at) => answers[at] ?? late(thing));
}
