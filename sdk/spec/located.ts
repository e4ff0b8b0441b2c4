/** One step into a document. */
export type Segment = string | number;

/** A value of the user's document and where it stood: `$.body.spec.values.nodes[1]`. */
export interface Located {
  readonly value: unknown;
  readonly path: string;
}

const plainKey = /^[A-Za-z_$@][\w$@-]*$/;

/** `formatPath('$', ['nodes', 1, 'a b'])` → `$.nodes[1]["a b"]`. */
export function formatPath(base: string, segments: readonly PropertyKey[]): string {
  let path = base;
  for (const segment of segments) {
    if (typeof segment === 'number') path += `[${segment}]`;
    else if (plainKey.test(String(segment))) path += `.${String(segment)}`;
    else path += `[${JSON.stringify(String(segment))}]`;
  }
  return path;
}

/** The value under a key of an object or list, with its path. */
export function at(parent: Located, key: Segment): Located {
  const value =
    typeof parent.value === 'object' && parent.value !== null && Object.hasOwn(parent.value, key)
      ? (parent.value as Record<Segment, unknown>)[key]
      : undefined;
  return { value, path: formatPath(parent.path, [key]) };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Each element of a list, or each entry of an object. */
export function entries(located: Located): readonly (readonly [Segment, Located])[] {
  const { value } = located;
  if (Array.isArray(value)) return value.map((_, index) => [index, at(located, index)] as const);
  if (isObject(value)) return Object.keys(value).map((key) => [key, at(located, key)] as const);
  return [];
}

/** The value, or `fallback` where it is absent; null is a value, and a wrong one. */
export function withDefault(located: Located, fallback: unknown): Located {
  return located.value === undefined ? { ...located, value: fallback } : located;
}
