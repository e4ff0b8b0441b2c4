/** Deepest nesting of a well-formed header: header → tensor → shape. */
const maxDepth = 3;
/** Far more tensors than any model has, and more dimensions than any tensor: what is longer only takes memory. */
const maxNames = 1_000_000;
const maxListed = 64;

/** What is open: an object with its names, or a list with its commas. */
interface Open {
  readonly names: Set<string> | undefined;
  commas: number;
}

/**
 * Finds what `JSON.parse` would hide or choke on: names given twice in one object, and nesting deeper than a header's.
 * Text that is no JSON is left for `JSON.parse` to report. One pass, no recursion.
 *
 * @returns one sentence a problem, at most ten
 */
export function findHeaderFaults(json: string): string[] {
  const faults: string[] = [];
  const open: Open[] = [];
  let index = 0;
  while (index < json.length && faults.length < 10) {
    const character = json[index];
    if (character === '{' || character === '[') {
      open.push({ names: character === '{' ? new Set() : undefined, commas: 0 });
      if (open.length > maxDepth) return [...faults, `is nested deeper than ${maxDepth} levels.`];
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === ',') {
      const inside = open.at(-1);
      if (inside) inside.commas += 1;
      if (inside && !inside.names && inside.commas >= maxListed) {
        return [...faults, `lists more than ${maxListed} sizes or offsets of one tensor.`];
      }
    } else if (character === '"') {
      const end = endOfString(json, index);
      const names = open.at(-1)?.names;
      if (names && nextCharacter(json, end) === ':') {
        const name = json.slice(index, end);
        // Two spellings of one name (`a`, `\u0061`) are the same name.
        const plain = name.includes('\\') ? unescaped(name) : name;
        if (names.has(plain)) faults.push(`gives the name ${plain.slice(0, 200)} twice.`);
        names.add(plain);
        if (names.size > maxNames) return [...faults, `names more than ${maxNames} tensors.`];
      }
      index = end;
      continue;
    }
    index += 1;
  }
  return faults;
}

/** @returns the index after the closing quote of the string that opens at `start` */
function endOfString(json: string, start: number): number {
  let index = start + 1;
  while (index < json.length && json[index] !== '"') index += json[index] === '\\' ? 2 : 1;
  return index + 1;
}

function nextCharacter(json: string, from: number): string | undefined {
  let index = from;
  while (' \n\r\t'.includes(json[index] ?? '.')) index += 1;
  return json[index];
}

function unescaped(quoted: string): string {
  try {
    return JSON.stringify(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}
