import type { Projection } from './weights.ts';

/** A weight is there twice for a moment while it is loaded: as it lies, and packed. */
const maxPieceBytes = 64 * 2 ** 20;
/** Where products of a matrix have seams of their own, so that pieces give the bits of the whole. */
const seamRows = 256;

/**
 * Cuts a linear map with many outputs, such as a large vocabulary's, into maps of consecutive outputs. Each is loaded, packed
 * and let go of in its turn, so loading takes hardly more memory than what stays. A table that is also looked up is then not
 * kept in memory as a whole.
 *
 * @param maxBytes - of a piece in float32, where 256 outputs are not more
 */
export function projectionPieces(
  projection: Projection,
  maxBytes = maxPieceBytes,
): readonly Projection[] {
  const { firstRow, inputs, outputs } = projection;
  const rows = Math.max(1, Math.floor(maxBytes / (4 * inputs * seamRows))) * seamRows;
  if (outputs <= rows) return [projection];
  return Array.from({ length: Math.ceil(outputs / rows) }, (_, at) => ({
    ...projection,
    firstRow: firstRow + at * rows,
    outputs: Math.min(rows, outputs - at * rows),
  }));
}
