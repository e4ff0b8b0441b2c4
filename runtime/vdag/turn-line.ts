/** A line in which clients take turns and each client's own come in order. */
export interface TurnLine<T> {
  readonly size: number;
  /** Last of this client. @returns when it came, in the order of all */
  push(client: string, item: T): number;
  /**
   * It was taken and could not be served: its client comes before all that had none back.
   *
   * @param arrival - as `push` said: of those put back, who came first comes first
   */
  putBack(client: string, item: T, arrival: number): void;
  /** Takes out whose turn it is, of the clients that may have one. */
  take(may: (client: string) => boolean): T | undefined;
  /** @returns whether it still stood in the line */
  remove(client: string, item: T): boolean;
  /** Takes out the newest of the client that has most in line; of `client`, where no other has more. */
  dropFor(client: string): T | undefined;
}

interface Waiting<T> {
  readonly items: { readonly item: T; readonly arrival: number }[];
  /** Turns there had been when it had its last, or came. */
  servedAt: number;
}

/** Whose last turn is longest ago comes next, so nobody has two while another who waits has none. */
export function createTurnLine<T>(): TurnLine<T> {
  const clients = new Map<string, Waiting<T>>();
  let turns = 0;
  let arrivals = 0;
  let size = 0;

  function waitingOf(client: string): Waiting<T> {
    const known = clients.get(client);
    if (known) return known;
    const fresh: Waiting<T> = { items: [], servedAt: turns };
    clients.set(client, fresh);
    return fresh;
  }
  function left(client: string, { items }: Waiting<T>): void {
    size -= 1;
    if (items.length === 0) clients.delete(client);
  }
  /** By last turn, then by who came first. */
  const before = (a: Waiting<T>, b: Waiting<T>): boolean =>
    a.servedAt === b.servedAt
      ? (a.items[0]?.arrival ?? 0) < (b.items[0]?.arrival ?? 0)
      : a.servedAt < b.servedAt;

  return {
    get size() {
      return size;
    },
    push(client, item) {
      const arrival = arrivals;
      waitingOf(client).items.push({ item, arrival });
      arrivals += 1;
      size += 1;
      return arrival;
    },
    putBack(client, item, arrival) {
      const waiting = waitingOf(client);
      const later = waiting.items.findIndex((one) => one.arrival > arrival);
      waiting.items.splice(later < 0 ? waiting.items.length : later, 0, { item, arrival });
      waiting.servedAt = -1;
      size += 1;
    },
    take(may) {
      let next: readonly [client: string, waiting: Waiting<T>] | undefined;
      for (const [client, waiting] of clients) {
        if (may(client) && (!next || before(waiting, next[1]))) next = [client, waiting];
      }
      if (!next) return undefined;
      const [client, waiting] = next;
      turns += 1;
      waiting.servedAt = turns;
      const taken = waiting.items.shift();
      left(client, waiting);
      return taken?.item;
    },
    remove(client, item) {
      const waiting = clients.get(client);
      const at = waiting?.items.findIndex((one) => one.item === item) ?? -1;
      if (!waiting || at < 0) return false;
      waiting.items.splice(at, 1);
      left(client, waiting);
      return true;
    },
    dropFor(client) {
      let longest = client;
      const inLine = (name: string) => clients.get(name)?.items.length ?? 0;
      for (const name of clients.keys()) if (inLine(name) > inLine(longest)) longest = name;
      const waiting = clients.get(longest);
      const dropped = waiting?.items.pop();
      if (!waiting || !dropped) return undefined;
      left(longest, waiting);
      return dropped.item;
    },
  };
}
