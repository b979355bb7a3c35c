export { GraftError, type ErrorCode } from "./errors.js";
export { env } from "./env.js";
export { readError } from "./files.js";
export { didYouMean, editDistance, nearest } from "./suggest.js";
export { checkChoice, checkNumber, checkOptions, type NumberRange } from "./options.js";
export { table } from "./table.js";
