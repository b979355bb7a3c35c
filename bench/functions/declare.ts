/** What an input holds. Gradients are taken of the first three; the others are given. */
export type Values =
  | "normal" // mean 0, deviation 1
  | "positive" // uniform from 0.1 to 1.1
  | "definite" // symmetric and positive definite, well conditioned
  | "zeros"
  | "ones"
  | "bits" // 0 or 1, as floating-point numbers
  | "whole" // whole numbers from 0, all smaller than `below`
  | "padding"; // [B, 1, 1, T]: true at the first 40 to T places of each of the B rows

export interface FunctionInput {
  readonly values: Values;
  readonly shape: readonly number[];
  readonly below?: number;
}

/** Arguments by name, which are called the same in Graft and PyTorch. */
export interface FunctionOptions {
  readonly dim?: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

/** What both sides need to time a function: they have an implementation for each `call`. */
export interface FunctionSpec {
  readonly call: string;
  readonly inputs: readonly FunctionInput[];
  readonly options: FunctionOptions;
  /** Whether a step also computes the gradients of all inputs and parameters. */
  readonly grad: boolean;
}

/** A function to time. */
export interface FunctionDeclaration {
  readonly name: string;
  /** The implementation; default: the one of that name. */
  readonly call?: string;
  readonly inputs: readonly FunctionInput[];
  readonly options?: FunctionOptions;
  /** What name, inputs and options do not tell. */
  readonly note?: string;
  /** Whether it has a gradient to measure, too. Default: true. */
  readonly gradient?: boolean;
}

const filled = (values: Values) => (...shape: readonly number[]): FunctionInput => ({ values, shape });
export const normal = filled("normal");
export const positive = filled("positive");
export const definite = filled("definite");
export const zeros = filled("zeros");
export const ones = filled("ones");
export const bits = filled("bits");
export const padding = filled("padding");
export const whole = (below: number, ...shape: readonly number[]): FunctionInput => ({ values: "whole", shape, below });

/** 4 MiB, the size of most inputs. */
export const matrix = normal(1024, 1024);

/** Functions of the same inputs, by names between blanks. */
export const each = (names: string, ...inputs: readonly FunctionInput[]): FunctionDeclaration[] => names.split(" ").map((name) => ({ name, inputs }));

/** A function along a dimension, which its name tells. */
export const along = (dim: number, call: string, ...inputs: readonly FunctionInput[]): FunctionDeclaration => ({ name: `${call}_dim${dim}`, call, inputs, options: { dim } });

const shown = ({ values, shape, below }: FunctionInput): string => {
  const kinds: Readonly<Record<Values, string>> = {
    normal: "", positive: "positive ", definite: "positive definite ", zeros: "zeros ", ones: "ones ", bits: "bits ", whole: `whole numbers below ${below} `, padding: "padding mask ",
  };
  return `${kinds[values]}[${shape.join(", ")}]`;
};

/** Inputs, options and note in words; inputs of one kind are counted. */
export function describe({ inputs, options = {}, note }: FunctionDeclaration): string {
  const counts = new Map<string, number>();
  for (const input of inputs) counts.set(shown(input), (counts.get(shown(input)) ?? 0) + 1);
  const sizes = [...counts].map(([text, count]) => (count === 1 ? text : `${count} times ${text}`)).join(", ");
  return [sizes, ...Object.entries(options).map(([key, value]) => `${key} ${value}`), note].filter(Boolean).join("; ");
}
