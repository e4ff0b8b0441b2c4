export type { AnswerRecorder, AnswerTrack } from './answers.ts';
export type { BlockReading, InstanceReading } from './block-collector.ts';
export {
  createMetrics,
  type HistorySubject,
  type Metrics,
  type MetricsOptions,
  type MetricsReader,
} from './create-metrics.ts';
export { expositionType } from './exposition.ts';
export { createInventory, type Inventory, type InventoryOptions } from './inventory.ts';
export { prometheusText } from './prometheus.ts';
export type { End, RequestRecorder } from './requests.ts';
export { createSpeedBook, placeOf, type SpeedBook } from './speeds.ts';
