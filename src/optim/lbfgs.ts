import { checkNumber, GraftError } from "../base/index.js";
import { Tensor, withGrad } from "../graph/index.js";
import { assign } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { strongWolfe, type Evaluation } from "./line-search.js";
import { checkClosure, Optimizer, type BaseOptions, type Closure, type ParamsInput, type ParamState } from "./optimizer.js";
import { fromHost, hostValues } from "./state.js";

/** Options of {@link LBFGS}. */
export interface LBFGSOptions extends BaseOptions {
  /** Iterations per step. Default: 20. */
  maxIter: number;
  /** Evaluations of the closure per step. Default: null, 1.25 maxIter. */
  maxEval: number | null;
  /** Stops when no gradient is larger. Default: 1e-7. */
  toleranceGrad: number;
  /** Stops when parameters or loss change less. Default: 1e-9. */
  toleranceChange: number;
  /** Pairs of steps and gradient changes that are kept. Default: 100. */
  historySize: number;
  /** Searches a step length that satisfies the strong Wolfe conditions; null takes lr as it is. Default: null. */
  lineSearchFn: "strongWolfe" | null;
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((total, x, i) => total + x * b[i], 0);
const largest = (a: Float64Array): number => a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const axpy = (a: number, x: Float64Array, y: Float64Array): Float64Array => y.map((value, i) => value + a * x[i]);

/**
 * Limited-memory BFGS (Nocedal, "Updating quasi-Newton matrices with limited storage", 1980), for full batches. Every step takes a closure that
 * computes the loss and its gradients, and calls it several times. One parameter group only. Directions are computed on the host in f64. Default lr: 1.
 * @example
 * await optimizer.step(() => {
 *   optimizer.zeroGrad();
 *   const loss = F.mseLoss(model.forward(x), y);
 *   loss.backward();
 *   return loss;
 * });
 */
export class LBFGS extends Optimizer<LBFGSOptions> {
  constructor(params: ParamsInput<LBFGSOptions>, options: Partial<LBFGSOptions> = {}) {
    super(params, { lr: 1, maxIter: 20, maxEval: null, toleranceGrad: 1e-7, toleranceChange: 1e-9, historySize: 100, lineSearchFn: null }, options);
    if (this.paramGroups.length !== 1) throw new GraftError("argument", `LBFGS: there are ${this.paramGroups.length} parameter groups. It takes only one.`);
  }
  protected override checkGroup(group: LBFGSOptions): void {
    checkNumber("LBFGS", "maxIter", group.maxIter, { min: 1, whole: true });
    checkNumber("LBFGS", "historySize", group.historySize, { min: 1, whole: true });
    if (group.lineSearchFn !== null && group.lineSearchFn !== "strongWolfe") throw new GraftError("argument", `LBFGS: lineSearchFn is "${String(group.lineSearchFn)}". Use "strongWolfe" or null.`);
  }
  protected update(): Tensor {
    throw new GraftError("argument", "LBFGS: a step needs a closure that computes the loss and its gradients. Call step(() => loss).");
  }

  private get params(): Tensor[] {
    return this.paramGroups[0].params;
  }

  /** All parameters behind each other. */
  private async position(): Promise<Float64Array> {
    await realize(...this.params);
    return join(this.params.map(hostValues));
  }

  /** Sets all parameters and returns where they are then: the position as their dtype holds it. */
  private moveTo(position: Float64Array): Float64Array {
    let at = 0;
    return join(
      this.params.map((param) => {
        const value = fromHost(position.subarray(at, (at += param.size)), param.shape, param.dtype);
        assign(param, value);
        return hostValues(value);
      }),
    );
  }

  /** Loss and gradient at the parameters' current values. */
  private async evaluate(closure: Closure): Promise<Evaluation & { readonly tensor: Tensor }> {
    const tensor = await withGrad(true, closure);
    const grads = this.params.map((param) => param.grad);
    await realize(tensor, ...grads.filter((grad) => grad !== null));
    const gradient = join(this.params.map((param, i) => (grads[i] ? hostValues(grads[i]) : new Float64Array(param.size))));
    return { tensor, loss: hostValues(tensor)[0], gradient };
  }

  /** One step of up to `maxIter` iterations. Returns the loss at its start. Throws `argument` without a closure. */
  override async step(closure?: Closure): Promise<Tensor> {
    checkClosure("LBFGS", closure, "Call loss.backward() in a function that returns the loss, and pass that.");
    if (closure === undefined) this.update();
    const { lr, maxIter, toleranceGrad, toleranceChange, historySize, lineSearchFn, maxEval } = this.paramGroups[0];
    const mostEvaluations = maxEval ?? Math.floor((maxIter * 5) / 4);
    const state = this.stateOf(this.params[0]);
    const memory = readMemory(state);
    let here = await this.evaluate(closure!);
    const first = here.tensor;
    let evaluations = 1;
    if (largest(here.gradient) <= toleranceGrad) return first;
    let x = await this.position();
    let { move, lastGradient, lastLoss } = memory;
    for (let iteration = 1; iteration <= maxIter; iteration++) {
      memory.iterations++;
      let direction: Float64Array;
      if (lastGradient === undefined || move === undefined) direction = here.gradient.map((g) => -g);
      else {
        remember(memory, axpy(-1, lastGradient, here.gradient), move, historySize);
        direction = twoLoops(memory, here.gradient);
      }
      [lastGradient, lastLoss] = [here.gradient, here.loss];
      let length = memory.iterations === 1 ? Math.min(1, 1 / here.gradient.reduce((sum, g) => sum + Math.abs(g), 0)) * lr : lr;
      const slope = dot(here.gradient, direction);
      if (slope > -toleranceChange) break;
      let used = 0;
      if (lineSearchFn === "strongWolfe") {
        const [origin, along] = [x, direction];
        const at = async (t: number): Promise<Evaluation> => {
          this.moveTo(axpy(t, along, origin));
          return this.evaluate(closure!);
        };
        const found = await strongWolfe(at, length, direction, here, slope);
        [length, used] = [found.length, found.evaluations];
        here = { ...here, ...found.point };
        const reached = this.moveTo(axpy(length, direction, x));
        [move, x] = [axpy(-1, x, reached), reached];
      } else {
        const reached = this.moveTo(axpy(length, direction, x));
        [move, x] = [axpy(-1, x, reached), reached];
        if (iteration < maxIter) [here, used] = [await this.evaluate(closure!), 1]; // at the last one the next step will evaluate
      }
      evaluations += used;
      const moved = length * largest(direction);
      if (iteration === maxIter || evaluations >= mostEvaluations || largest(here.gradient) <= toleranceGrad || moved <= toleranceChange || Math.abs(here.loss - lastLoss) < toleranceChange) break;
    }
    await realize();
    writeMemory(state, { ...memory, move, lastGradient, lastLoss, evaluations: memory.evaluations + evaluations });
    return first;
  }
}

/** What is kept between steps. Pairs: `changes` of the gradient and the `moves` that made them. */
interface Memory {
  iterations: number;
  evaluations: number;
  /** The last change of the parameters. */
  move: Float64Array | undefined;
  lastGradient: Float64Array | undefined;
  lastLoss: number;
  scale: number;
  changes: Float64Array[];
  moves: Float64Array[];
}

function join(parts: readonly Float64Array[]): Float64Array {
  const result = new Float64Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Adds a pair to the history, unless the curvature along it is not positive. */
function remember(memory: Memory, change: Float64Array, move: Float64Array, historySize: number): void {
  const curvature = dot(change, move);
  if (curvature <= 1e-10) return;
  if (memory.changes.length >= historySize) {
    memory.changes.shift();
    memory.moves.shift();
  }
  memory.changes.push(change);
  memory.moves.push(move);
  memory.scale = curvature / dot(change, change); // the first guess of the inverse Hessian is scale * I
}

/** -H g by the two-loop recursion (Nocedal and Wright, Numerical Optimization, algorithm 7.4). */
function twoLoops({ changes, moves, scale }: Memory, gradient: Float64Array): Float64Array {
  const weights = changes.map((change, i) => 1 / dot(change, moves[i]));
  const alphas = new Array<number>(changes.length);
  let q: Float64Array = gradient.map((g) => -g);
  for (let i = changes.length - 1; i >= 0; i--) {
    alphas[i] = dot(moves[i], q) * weights[i];
    q = axpy(-alphas[i], changes[i], q);
  }
  let r: Float64Array = q.map((value) => value * scale);
  for (let i = 0; i < changes.length; i++) r = axpy(alphas[i] - dot(changes[i], r) * weights[i], moves[i], r);
  return r;
}

const vector = (state: ParamState, name: string): Float64Array | undefined => (state[name] instanceof Tensor ? hostValues(state[name]) : undefined);
const numberOf = (state: ParamState, name: string, fallback: number): number => (typeof state[name] === "number" ? state[name] : fallback);

function readMemory(state: ParamState): Memory {
  const count = numberOf(state, "history", 0);
  const list = (name: string): Float64Array[] => Array.from({ length: count }, (_, i) => vector(state, `${name}.${i}`)!);
  return {
    iterations: numberOf(state, "n_iter", 0), evaluations: numberOf(state, "func_evals", 0), move: vector(state, "move"),
    lastGradient: vector(state, "prev_flat_grad"), lastLoss: numberOf(state, "prev_loss", 0), scale: numberOf(state, "H_diag", 1),
    changes: list("old_dirs"), moves: list("old_stps"),
  };
}

function writeMemory(state: ParamState, memory: Memory): void {
  for (const name of Object.keys(state)) delete state[name];
  Object.assign(state, { n_iter: memory.iterations, func_evals: memory.evaluations, prev_loss: memory.lastLoss, H_diag: memory.scale, history: memory.changes.length });
  const put = (name: string, values: Float64Array | undefined): void => {
    if (values) state[name] = fromHost(values, [values.length], "f64");
  };
  put("move", memory.move);
  put("prev_flat_grad", memory.lastGradient);
  memory.changes.forEach((values, i) => put(`old_dirs.${i}`, values));
  memory.moves.forEach((values, i) => put(`old_stps.${i}`, values));
}
