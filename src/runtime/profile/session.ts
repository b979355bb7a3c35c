import { env, GraftError } from "../../base/index.js";
import { scopesOn, type Node, type Scope } from "../../graph/index.js";
import type { PlanStep } from "../../plan/index.js";
import { currentBackend } from "../device.js";
import type { Compiled } from "../plans.js";
import type { Interval } from "./intervals.js";

/** Scopes of the ops of each kernel of a plan, in the order of `PlanStep.origins`. */
export type PlanScopes = readonly (readonly (Scope | undefined)[])[];

/** A run of a plan: when it was asked for and when its end was known, and what its kernels took. */
export interface RunRecord extends Interval {
  readonly steps: readonly PlanStep[];
  readonly scopes: PlanScopes | undefined;
  /** By kernel. */
  readonly nanoseconds: Float64Array;
}

/** A stretch on the JavaScript thread. */
export type SpanKind = "plan" | "loader";

/** All that was seen of a step. */
export interface StepRecord extends Interval {
  readonly runs: readonly RunRecord[];
  readonly spans: Readonly<Record<SpanKind, readonly Interval[]>>;
}

/** A step under way. */
interface OpenStep {
  readonly from: number;
  readonly runs: RunRecord[];
  readonly spans: Record<SpanKind, Interval[]>;
}

let open: Session | undefined;

/** Whether somebody looks. */
export const profiling = (): boolean => open !== undefined;

/** Who recorded what a plan's kernels compute. */
export const scopesOf = ({ plan }: Compiled, nodes: readonly Node[]): PlanScopes => plan.steps.map(({ origins }) => origins.map((origin) => nodes[origin].scope));

/** The time since `from` went into something. */
export const addSpan = (kind: SpanKind, from: number): void => open?.addSpan(kind, from);

/** Runs `body` (the part of it before its first await); its time goes into something. */
export function timed<T>(kind: SpanKind, body: () => T): T {
  if (open === undefined) return body();
  const from = performance.now();
  try {
    return body();
  } finally {
    addSpan(kind, from);
  }
}

/** The run of a plan begins; what is returned is called when it has ended well. Undefined when nobody looks. */
export const watchRun = (compiled: Compiled, scopes: () => PlanScopes | undefined): (() => void) | undefined => open?.watchRun(compiled, scopes);

/** Opens a session. Throws `state` while another is open. */
export function openSession(op: string): Session {
  if (open !== undefined) throw new GraftError("state", `${op}: another profile is under way. Profiles cannot be nested: await the first one.`);
  return (open = new Session());
}

/** Looks at steps while it is open; there is one at a time. */
export class Session {
  readonly steps: StepRecord[] = [];
  private step: OpenStep | undefined;
  private readonly running = new Set<() => void>();
  private readonly scopesBefore: boolean;

  /** Use {@link openSession}. */
  constructor() {
    this.scopesBefore = scopesOn(true);
    currentBackend().profile(true);
  }

  close(): void {
    if (open !== this) return;
    open = undefined;
    scopesOn(this.scopesBefore);
    if (env.debug < 2) currentBackend().profile(false);
  }

  /** A step begins now; one under way is forgotten. */
  begin(): void {
    this.running.clear();
    this.step = { from: performance.now(), runs: [], spans: { plan: [], loader: [] } };
  }

  /** Whether a step is under way. */
  get measuring(): boolean {
    return this.step !== undefined;
  }

  /** The step ends now. */
  end(): void {
    if (this.step !== undefined) this.steps.push({ ...this.step, to: performance.now() });
    this.step = undefined;
  }

  addSpan(kind: SpanKind, from: number): void {
    const { step } = this;
    if (step !== undefined) step.spans[kind].push({ from: Math.max(from, step.from), to: performance.now() });
  }

  watchRun({ plan: { steps }, loaded }: Compiled, scopes: () => PlanScopes | undefined): (() => void) | undefined {
    const { step, running } = this;
    if (step === undefined) return undefined;
    if (running.size > 0) {
      currentBackend().waitIdle(); // or this run might write over the times of another one of the same plan
      for (const end of [...running]) end();
    }
    const from = performance.now();
    const end = (): void => {
      if (!running.delete(end)) return;
      const to = performance.now();
      step.runs.push({ from, to, steps, scopes: scopes(), nanoseconds: loaded.times().slice() });
    };
    running.add(end);
    return end;
  }
}
