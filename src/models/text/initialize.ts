import { Embedding, init, Linear, Parameter, TransposedLinear, type Module } from "../../nn/index.js";
import { iota, mul, ne, randn, where } from "../../ops/index.js";

/**
 * Fresh weights as Hugging Face draws them: every projection and table normal with standard deviation `std`, biases 0, the padding row of a table 0, norms
 * as they are. `special` may give a weight another standard deviation by its path. Call it before weights are tied.
 */
export function initializeWeights(model: Module, std: number, special: (path: string) => number | undefined = () => undefined): void {
  for (const [path, module] of model.namedModules()) {
    if (module instanceof Linear || module instanceof TransposedLinear) {
      init.normal(module.weight, 0, special(`${path}.weight`) ?? std);
      if (module.bias) init.zeros(module.bias);
    } else if (module instanceof Embedding) {
      const { numEmbeddings, embeddingDim, paddingIdx } = module;
      const values = mul(randn([numEmbeddings, embeddingDim]), std);
      module.weight = new Parameter(paddingIdx === undefined ? values : where(ne(iota([numEmbeddings, 1], 0), paddingIdx), values, 0));
    }
  }
}
