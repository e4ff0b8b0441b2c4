import type { PlacementPreview } from '../sdk/client/api.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';

const shownPlaces = 50;

const sizes = (gpus: readonly { readonly memoryBytes: number }[]): string =>
  gpus.map(({ memoryBytes }) => formatBytes(memoryBytes)).join(' ') || '–';

/** One row a place, the chosen and the best first: what one instance there would leave free. */
export function renderPreview(
  { decision, places, counts }: PlacementPreview,
  { style, table }: Pick<Context, 'style' | 'table'>,
): string {
  const rows = places
    .slice(0, shownPlaces)
    .map(({ clusterId, nodeId, gpus, ...place }) => [
      clusterId,
      nodeId,
      gpus.join(' ') || '–',
      place.score === undefined ? '–' : place.score.toFixed(3),
      formatBytes(place.leaves.memoryBytes),
      String(place.leaves.cpuCores),
      sizes(place.leaves.gpus),
      place.chosen ? style.good('chosen') : '',
    ]);
  const more = counts.places - rows.length;
  const head = `${style.bold(decision.blockId)}: ${counts.places} places on ${counts.nodes} nodes of ${counts.clusters} clusters, for one instance each`;
  const titles = [
    'cluster',
    'node',
    'devices',
    '>score',
    '>leaves',
    '>cores',
    'leaves of each GPU',
    '',
  ];
  return [
    head,
    decision.message,
    ...(rows.length > 0 ? ['', table(titles, rows)] : []),
    ...(more > 0 ? [style.dim(`and ${more} more; all that are listed: --json`)] : []),
  ].join('\n');
}
