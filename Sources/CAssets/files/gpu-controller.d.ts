/** What can be wished for beside the holder's id. Times are milliseconds. */
export interface LockOptions {
  /** How long to wait: 120 000 for a GPU, 300 000 for a model load, unless given. */
  timeout?: number;
  /** How long the lease stands without a renewal. The coordinator's own default is 120 000. */
  ttl?: number;
  /** 0 is served first. Without it the id tells: mic 0, console or chat 10, dream 20, else 15. */
  priority?: number;
  host?: string;
  unit?: string;
  /** So many units of one host, all or none, in one lease: 1 to 64. Not with `unit` or `preempt`. */
  count?: number;
  kind?: "gpu" | "model-load";
  minVramMb?: number;
  deviceType?: string;
  labels?: Record<string, string>;
  /** Which pool, where the coordinator serves several. */
  pool?: string;
  /** What the unit should still be warm for, as in `model:qwen`. */
  affinity?: string;
  /** Shown beside the lease. At most 2048 bytes as JSON. */
  metadata?: unknown;
  /** Where the coordinator allows it, have a holder of worse priority asked to give its unit back. */
  preempt?: boolean;
  /** Called once when somebody of better priority asks for this lease's unit. It is revoked after `within` milliseconds. */
  onPreempt?: (wish: { by: string; priority: number; within: number }) => void;
  /** Gives the place in the queue up. */
  signal?: AbortSignal;
  /** Called while the request waits. */
  onWait?: (progress: WaitProgress) => void;
  /** Milliseconds between two reports. 1000 unless given. */
  progressEvery?: number;
  /** Use WebGPU without a lease where no bridge can be reached. Without it such a request fails. */
  fallback?: "direct";
  /** How long the bridge must have been unreachable before `fallback` is taken. 3000 unless given. */
  unreachableAfter?: number;
}

export interface WaitProgress {
  requestId: string;
  /** The request was begun before a reload and keeps its place. */
  resumed: boolean;
  state: "queued" | "offered" | "held" | "unknown" | "unreachable";
  /** 1 is served next. */
  position?: number | null;
  /** Holder ids of the requests in front, in order. */
  ahead?: string[];
  queueDepth?: number;
  waitedMs?: number | null;
  timeLeftMs?: number | null;
}

/** A unit, until `release`, or until `signal` is aborted with a `LeaseLostError`. */
export interface HeldLock {
  success: true;
  /** No bridge could be reached and the caller had allowed to go on without a lease. */
  direct: boolean;
  token: string;
  lease?: string;
  /** The first unit, which the lease is named by. */
  unit?: string;
  /** All units of the lease. */
  units?: string[];
  host?: string;
  holder?: string;
  /** Rises from lease to lease of a unit: a resource may refuse an older one. */
  fencingToken?: number;
  ttl?: number;
  waitedMs?: number;
  requestId?: string;
  env?: Record<string, string>;
  signal: AbortSignal;
  /** Milliseconds for which the lease is certain to stand without a further renewal. */
  expiresIn?: () => number;
  release: () => Promise<void>;
}

export interface LockFailure {
  success: false;
  error: string;
  timeout?: boolean;
  refused?: boolean;
  cancelled?: boolean;
  /** No answer ever came. */
  unreachable?: boolean;
  status?: number;
  position?: number | null;
}

export interface ModelLoadStatus {
  queueSize: number;
  activeLoaders: string[];
  hasPendingLoad: boolean;
  modelLoadQueueInfo: string;
}

export declare class GPULockError extends Error {
  details: LockFailure;
}

export declare class LeaseLostError extends Error {
  lease: string;
  reason: "expired" | "revoked" | "preempted" | "force_released" | "released" | "lost" | "closed" | string;
  by?: string;
  why?: string;
}

export declare class GPUController {
  /** The coordinator: where this module came from, LEASEHOLD_URL in Node, else http://localhost:8080. */
  static get BRIDGE_URL(): string;
  static configure(settings: { url?: string; token?: string; fetch?: typeof fetch }): void;
  static acquireLock(agentId: string, timeout?: number | LockOptions): Promise<HeldLock | LockFailure>;
  static releaseLock(agentId: string): Promise<void>;
  static withLock<Result>(
    agentId: string,
    taskFn: (lock: HeldLock) => Result | Promise<Result>,
    timeout?: number | LockOptions,
  ): Promise<Result>;
  static withModelLoadLock<Result>(
    agentId: string,
    taskFn: (lock: HeldLock) => Result | Promise<Result>,
    timeout?: number | LockOptions,
  ): Promise<Result>;
  static checkStatus(): Promise<Record<string, unknown> & { error?: string }>;
  static getModelLoadStatus(): ModelLoadStatus;
}

export default GPUController;
