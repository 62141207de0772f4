import type { BackendInfo, UseBackendOptions } from './backend-info.js';

/** A backend that has been set and works. */
export interface Started {
  readonly version: string;
  readonly simd: boolean;
  readonly threads: number;
  readonly device?: string;
  /** Why there are fewer threads than were asked for. */
  readonly threadsObstacle?: string;
  /** {@link BackendInfo.warning}. */
  readonly warning?: string;
  /** Frees what would outlive the backend's use. */
  stop?(): void;
}

/** One way to compute, and how to try it. */
export interface Candidate {
  readonly name: BackendInfo['name'];
  readonly backend: string;
  readonly package: string;
  readonly install: string;
  /**
   * Sets the backend.
   *
   * @throws NotAvailable where it cannot be computed here; nothing has been changed then.
   */
  start(options: UseBackendOptions): Promise<Started>;
}

/** Why a candidate is passed over, and, where it is not the usual one, the step that helps. */
export class NotAvailable extends Error {
  constructor(
    readonly reason: string,
    readonly install?: string,
  ) {
    super(reason);
  }
}

/** It works, but must not train. */
export class Unfit extends NotAvailable {
  constructor(reason: string) {
    super(reason, 'another backend');
  }
}
