/** Artifacts of all tenants: they are shared by content. */
export interface ArtifactCount {
  readonly artifacts: number;
  readonly sizeBytes: number;
  /** Of `sizeBytes`, files that have a name elsewhere too, such as the checkpoint they were linked from. */
  readonly sharedBytes: number;
}

export interface ArtifactUsage {
  readonly stored: ArtifactCount;
  /** What no stored document mentions. */
  readonly unmentioned: ArtifactCount;
  /** How many nothing but kept decisions and split tasks mention: they are kept as long as those. */
  readonly inHistoryOnly: number;
}

export interface ArtifactPruneRequest {
  /** What was written, linked or asked for since stays, in milliseconds. @default 3600000 */
  readonly olderThanMs?: number | undefined;
  /** Only says what would go. @default false */
  readonly dryRun?: boolean | undefined;
}

export interface ArtifactPruning {
  readonly dryRun: boolean;
  /** What went, or would go. Of `sharedBytes` the disk gets nothing back before the other names go too. */
  readonly removed: ArtifactCount;
  /** What no document mentions, and is too young to go or used now. */
  readonly recent: ArtifactCount;
  /** How many nothing but kept decisions and split tasks mention: they are kept as long as those. */
  readonly inHistoryOnly: number;
  /** Uploads that were announced and never came. */
  readonly uploadsExpired: number;
}

export interface ArtifactCalls {
  artifactUsage(): Promise<ArtifactUsage>;
  /** Removes artifacts that no stored document mentions. */
  pruneArtifacts(request?: ArtifactPruneRequest): Promise<ArtifactPruning>;
}
