import { stripVTControlCharacters } from 'node:util';

const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u;

// Made when first needed: it takes longer than the rest of a short command.
let graphemes: Intl.Segmenter | undefined;

/** Columns a text takes on a terminal: colours take none, East Asian letters and emoji two. */
export function displayWidth(text: string): number {
  const plain = stripVTControlCharacters(text);
  if (/^[\x20-\x7E]*$/.test(plain)) return plain.length;
  graphemes ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  let width = 0;
  for (const { segment } of graphemes.segment(plain)) width += wide.test(segment) ? 2 : 1;
  return width;
}

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. @default 'left' */
  readonly align?: 'left' | 'right';
}

export interface TableOptions {
  /** Marks titles. @default as they are */
  readonly heading?: (text: string) => string;
  /** What a line may take. @default any */
  readonly width?: number | undefined;
}

/**
 * Cells in columns, two spaces apart, under upper-case titles. Column `'>x'` is right-aligned. Where a line would be
 * wider than `width`, each row becomes a paragraph, because a terminal would braid the lines.
 */
export function renderTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const { heading = (text) => text, width = Number.POSITIVE_INFINITY } = options;
  const columns: Column[] = titles.map((title) =>
    title.startsWith('>') ? { title: title.slice(1), align: 'right' } : { title },
  );
  const widths = columns.map(({ title }, index) =>
    Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[index] ?? ''))),
  );
  const lineWidth = widths.reduce((sum, column) => sum + column, 2 * (widths.length - 1));
  if (lineWidth > width) return renderParagraphs(columns, rows, heading, width);
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const space = ' '.repeat((widths[index] ?? 0) - displayWidth(cell));
        return align === 'right' ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd();
  const head = heading(line(columns.map(({ title }) => title.toUpperCase())));
  return [head, ...rows.map(line)].join('\n');
}

/** `TITLE first cell`, and below it the others with their titles, as many a line as fit. Empty cells are left out. */
function renderParagraphs(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  heading: (text: string) => string,
  width: number,
): string {
  const paragraph = (row: readonly string[]): string => {
    const [head = '', ...rest] = columns.flatMap(({ title }, index) => {
      const cell = row[index] ?? '';
      const name = index === 0 ? title.toUpperCase() : title;
      return index > 0 && cell === '' ? [] : [`${heading(name)} ${cell}`.trimEnd()];
    });
    const lines = [head];
    for (const part of rest) {
      const current = lines.at(-1) ?? '';
      const joined = lines.length === 1 ? `  ${part}` : `${current}, ${part}`;
      if (lines.length === 1 || displayWidth(joined) > width) lines.push(`  ${part}`);
      else lines[lines.length - 1] = joined;
    }
    return lines.join('\n');
  };
  return rows.map(paragraph).join('\n');
}
