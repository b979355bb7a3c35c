// Module hooks (node:module register) for programs that `graft` loads: "graftml" is the copy that is running, wherever the program lies, so that its tensors are
// the same kind as the command's; and TypeScript files are modules, also where no package.json says so.
let entry;

export function initialize(data) {
  entry = data.entry; // .../src/index.ts or .../dist/index.js
}

export async function resolve(specifier, context, next) {
  const [, folder] = /^graftml(?:\/([a-z]+))?$/.exec(specifier) ?? [];
  if (specifier === "graftml") return { url: entry, format: "module", shortCircuit: true };
  if (folder !== undefined) return { url: entry.replace(/index\.(ts|js)$/, `${folder}/index.$1`), format: "module", shortCircuit: true };
  const found = await next(specifier, context);
  // tsx would hand such a file to require, which knows neither top-level await nor this hook
  if (found.format === "commonjs" && /\.ts(\?|%3F|$)/.test(found.url)) return { ...found, url: found.url.replace(/(\?|%3F).*$/, ""), format: "module" };
  return found;
}
