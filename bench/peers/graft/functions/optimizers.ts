import { optim, realize, type Tensor } from "graftml";

/** What updates parameters whose gradients are there. */
type Update = (parameters: readonly Tensor[]) => () => Promise<unknown>;

const lr = 1e-3;
const by = (make: (parameters: readonly Tensor[]) => { step(): Promise<unknown> }): Update => (parameters) => {
  const optimizer = make(parameters);
  return () => optimizer.step();
};

/** Updates by name. */
export const optimizers: Readonly<Record<string, Update>> = {
  sgd: by((parameters) => new optim.SGD(parameters, { lr })),
  sgd_momentum: by((parameters) => new optim.SGD(parameters, { lr, momentum: 0.9, weightDecay: 1e-4 })),
  adam: by((parameters) => new optim.Adam(parameters, { lr })),
  adamw: by((parameters) => new optim.AdamW(parameters, { lr })),
  rmsprop: by((parameters) => new optim.RMSprop(parameters, { lr })),
  adagrad: by((parameters) => new optim.Adagrad(parameters, { lr })),
  nadam: by((parameters) => new optim.NAdam(parameters, { lr })),
  radam: by((parameters) => new optim.RAdam(parameters, { lr })),
  adamax: by((parameters) => new optim.Adamax(parameters, { lr })),
  adadelta: by((parameters) => new optim.Adadelta(parameters, { lr: 1 })),
  muon: by((parameters) => new optim.Muon(parameters, { lr })),
  clip_grad_norm: (parameters) => () => realize(optim.clipGradNorm(parameters, 1), ...parameters.map(({ grad }) => grad!)),
};
