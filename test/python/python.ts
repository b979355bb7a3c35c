import { spawn, spawnSync } from "node:child_process";

const python = process.env.GRAFT_PYTHON ?? "python3";

/** Python packages that the installed Python lacks; tests that need them are skipped and say so. */
export function missing(...packages: readonly string[]): string[] {
  const found = spawnSync(python, ["-c", "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n) is None])", ...packages], { encoding: "utf8" });
  return found.status === 0 ? [...found.stdout.matchAll(/'(\w+)'/g)].map(([, name]) => name) : [...packages];
}

/** Why a test does not run; "" where it does. */
export const reason = (lacking: readonly string[]): string => (lacking.length === 0 ? "" : ` (skipped: ${python} has no ${lacking.join(", ")}; GRAFT_PYTHON names another one)`);

/**
 * Runs a Python program that finds `job` and leaves `result`, both of what JSON can hold. Network access of Hugging Face's packages is off. Throws with what Python says.
 */
export function run<T>(program: string, job: unknown, env: NodeJS.ProcessEnv = {}): Promise<T> {
  const text = `import json, sys\njob = json.load(sys.stdin)\n${program}\nprint("\\nRESULT" + json.dumps(result))\n`;
  return new Promise((resolve, reject) => {
    const child = spawn(python, ["-c", text], { env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error", OMP_NUM_THREADS: "1", ...env }, stdio: ["pipe", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (part: Buffer) => (out += part.toString()));
    child.stderr.on("data", (part: Buffer) => (err += part.toString()));
    child.on("error", reject);
    child.on("close", () => {
      const at = out.lastIndexOf("\nRESULT");
      if (at < 0) reject(new Error(`Python: ${err.trim().slice(-3000)}`));
      else resolve(JSON.parse(out.slice(at + 7)) as T);
    });
    child.stdin.end(JSON.stringify(job));
  });
}
