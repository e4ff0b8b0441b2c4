import type { Sample, SimulationReport } from './report.ts';

const width = 860;
const panelHeight = 170;
const margin = { left: 64, right: 24, top: 34, gap: 46 };
/** Told apart by people who see colours differently, on light and on dark. */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

interface Panel {
  readonly title: string;
  readonly read: (sample: Sample) => number;
  readonly percent: boolean;
}

const panels: readonly Panel[] = [
  { title: 'GPU memory promised', read: (it) => it.gpuMemoryFraction, percent: true },
  { title: 'memory promised', read: (it) => it.memoryFraction, percent: true },
  {
    title: 'fragmentation: free, but not for the largest job',
    read: (it) => it.fragmentation,
    percent: true,
  },
  { title: 'jobs that wait', read: (it) => it.waiting, percent: false },
];

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** 1, 2 or 5 times a power of ten, above the value. */
function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value) ?? value;
}

const show = (value: number, percent: boolean): string =>
  percent ? `${Math.round(value * 100)} %` : String(Math.round(value * 10) / 10);

function panelSvg({ title, read, percent }: Panel, at: number, report: SimulationReport): string {
  const top = margin.top + at * (panelHeight + margin.gap) + 24;
  const most = Math.max(...report.variants.flatMap(({ samples }) => samples.map(read)), 0);
  const high = percent ? 1 : niceTop(most);
  const inner = width - margin.left - margin.right;
  const x = (minute: number): number => margin.left + (inner * minute) / report.minutes;
  const y = (value: number): number => top + panelHeight * (1 - value / high);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const level = y(part * high);
    return `<line x1="${margin.left}" x2="${width - margin.right}" y1="${level}" y2="${level}" stroke="#8888" stroke-width="0.5"/><text x="${margin.left - 8}" y="${level + 4}" text-anchor="end">${show(part * high, percent)}</text>`;
  });
  const hours = report.minutes > 180;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const minute = part * report.minutes;
    const text = hours ? `${Math.round(minute / 6) / 10} h` : `${Math.round(minute)} min`;
    return `<text x="${x(minute)}" y="${top + panelHeight + 16}" text-anchor="middle">${text}</text>`;
  });
  const lines = report.variants.map(({ samples }, index) => {
    const points = samples.map(
      (sample) => `${x(sample.minute).toFixed(1)},${y(read(sample)).toFixed(1)}`,
    );
    return `<polyline fill="none" stroke="${colours[index % colours.length]}" stroke-width="1.6" points="${points.join(' ')}"/>`;
  });
  return `<text x="${margin.left}" y="${top - 8}" font-weight="600">${escapeXml(title)}</text>${grid.join('')}${ticks.join('')}${lines.join('')}`;
}

/** The report as an SVG that reads on light and dark paper alike. */
export function plotReport(report: SimulationReport): string {
  const height = margin.top + panels.length * (panelHeight + margin.gap) + 40;
  const step = (width - margin.left - margin.right) / Math.max(1, report.variants.length);
  const legend = report.variants.map(({ name }, index) => {
    const left = margin.left + index * step;
    const colour = colours[index % colours.length];
    return `<rect x="${left}" y="14" width="14" height="4" fill="${colour}"/><text x="${left + 20}" y="20">${escapeXml(name)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="simulation of ${report.nodes} nodes">`,
    `<style>text{font:12px system-ui,sans-serif;fill:#222}rect.paper{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}rect.paper{fill:#181818}}</style>`,
    `<rect class="paper" width="100%" height="100%"/>`,
    ...legend,
    ...panels.map((panel, at) => panelSvg(panel, at, report)),
    '</svg>',
    '',
  ].join('\n');
}
