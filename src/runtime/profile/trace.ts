import { outputShape, showSizes, speedOf, type KernelCall } from "./kernels.js";
import { merged, without, type Interval } from "./intervals.js";
import type { StepRecord } from "./session.js";

/** An event of a trace file; times are in microseconds. */
export interface TraceEvent {
  readonly name: string;
  /** X: an event with a length. M: the name or place of a row. */
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, string | number | readonly string[]>>;
}

/** A trace in the Trace Event Format, which Perfetto and chrome://tracing open. */
export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: "ms";
}

const rows = { steps: 0, JavaScript: 1, kernels: 2 } as const;
const pid = 1;

/** Rows for steps, the JavaScript thread and the kernels; within a row events do not overlap. */
export function traceOf(records: readonly StepRecord[], calls: readonly (readonly KernelCall[])[], name: string): Trace {
  const zero = records[0]?.from ?? 0;
  const nanoseconds = (milliseconds: number): number => Math.round((milliseconds - zero) * 1e6);
  const event = (row: keyof typeof rows, text: string, { from, to }: Interval, args: TraceEvent["args"] = {}): TraceEvent => {
    const [start, end] = [nanoseconds(from), nanoseconds(to)]; // whole ones, so that neighbours meet exactly
    return { name: text, ph: "X", cat: row, pid, tid: rows[row], ts: start / 1000, dur: (end - start) / 1000, args };
  };
  const label = (text: string, tid: number, value: string): TraceEvent => ({ name: text, ph: "M", pid, tid, args: { name: value } });
  const heads = Object.entries(rows).flatMap(([row, tid]): TraceEvent[] => [label("thread_name", tid, row), { name: "thread_sort_index", ph: "M", pid, tid, args: { sort_index: tid } }]);
  const events = records.flatMap((record, i): TraceEvent[] => {
    const { runs, spans } = record;
    const loader = merged(spans.loader);
    const plan = without(spans.plan, loader);
    const rest = without([record], [...runs, ...plan, ...loader]);
    const kinds = { loader, plan, record: rest };
    const script = Object.entries(kinds).flatMap(([kind, list]) => list.map((span) => event("JavaScript", kind, span)));
    return [
      event("steps", `step ${i + 1}`, record),
      ...script.sort((a, b) => a.ts! - b.ts!),
      ...calls[i].map((call) => {
        const { step, module, pass, modules } = call;
        const { gflops, gbs } = speedOf(step, call.nanoseconds);
        return event("kernels", step.kernel, call, {
          ops: step.label, shape: showSizes(outputShape(step)), module, pass, modules, "GFLOP/s": round(gflops), "GB/s": round(gbs), flops: step.flops, bytes: step.bytes,
        });
      }),
    ];
  });
  return { traceEvents: [label("process_name", 0, name), ...heads, ...events], displayTimeUnit: "ms" };
}

const round = (x: number): number => Math.round(x * 100) / 100;
