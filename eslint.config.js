// The house rules that a machine can check. Types are checked by tsc; layering, file sizes and docs by test/house.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import tseslint from "typescript-eslint";

/** Things that hide what a program does, or that type erasure cannot remove. */
const languageBans = [
  { selector: "TSEnumDeclaration", message: "Use a union of string literals, or a const object." },
  { selector: "TSModuleDeclaration[kind='namespace']", message: "Use a module (a file)." },
  { selector: "WithStatement", message: "Name the object." },
];
const banned = [...languageBans, { selector: "ExportDefaultDeclaration", message: "Export by name, so that one thing has one name everywhere." }];

const everywhere = {
  eqeqeq: "error",
  "prefer-const": ["error", { destructuring: "all" }],
  "no-var": "error",
  "no-console": "error",
  "no-throw-literal": "error",
  "no-self-compare": "error",
  "no-unreachable-loop": "error",
  "no-constant-binary-expression": "error",
  "no-implicit-coercion": ["error", { allow: ["!!"] }],
  "no-useless-return": "error",
  "no-else-return": "off", // a matter of taste: an else can show that two cases are of one kind
  "object-shorthand": "error",
  "no-restricted-syntax": ["error", ...banned],
  "max-len": ["error", { code: 200, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }],
  "no-trailing-spaces": "error",
  "eol-last": "error",
};

/** Rules that need types; one program for all files keeps them to a few seconds. */
const typed = {
  "@typescript-eslint/no-floating-promises": "error",
  "@typescript-eslint/no-misused-promises": "error",
  "@typescript-eslint/await-thenable": "error",
  "@typescript-eslint/no-for-in-array": "error",
  "@typescript-eslint/only-throw-error": "error",
};

const typescript = {
  "@typescript-eslint/no-explicit-any": "error",
  "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrors: "none" }],
  "@typescript-eslint/consistent-type-imports": ["error", { prefer: "type-imports", fixStyle: "inline-type-imports", disallowTypeAnnotations: false }],
  "@typescript-eslint/no-import-type-side-effects": "error",
  "@typescript-eslint/no-non-null-asserted-optional-chain": "error",
  "@typescript-eslint/no-this-alias": "error",
  "@typescript-eslint/no-empty-object-type": "error",
  "@typescript-eslint/no-require-imports": "error",
  "@typescript-eslint/ban-ts-comment": "error",
  "@typescript-eslint/prefer-for-of": "off", // an index is faster in a hot loop, and the reader sees both anyway
};

/** What tsconfig.json includes; a folder that is not there yet is no error. */
const folders = ["src", "test", "bench", "examples"].filter((folder) => existsSync(new URL(folder, import.meta.url)));

export default tseslint.config(
  { ignores: ["node_modules/", "dist/", "build/", "runs/", "coverage/", "test/golden/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  { files: ["**/*.{js,mjs,ts}"], rules: everywhere },
  { files: ["**/*.ts"], languageOptions: { parser: tseslint.parser }, plugins: { "@typescript-eslint": tseslint.plugin }, rules: typescript },
  {
    files: folders.map((folder) => `${folder}/**/*.ts`),
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: fileURLToPath(new URL(".", import.meta.url)) } },
    rules: typed,
  },
  { files: ["examples/**", "bench/**", "scripts/**", "bin/**", "test/**"], rules: { "no-console": "off" } }, // programs talk to people, the library does not
  { files: ["*.config.{js,ts}", "examples/**"], rules: { "no-restricted-syntax": ["error", ...languageBans] } }, // tools and `graft train` look for a default export
  { files: ["**/*.test.ts"], rules: { "no-unreachable-loop": "off" } }, // taking one batch of a loader and leaving is what some tests are about
);
