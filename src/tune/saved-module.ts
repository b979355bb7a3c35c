import { GraftError } from "../base/index.js";
import * as nn from "../nn/index.js";
import { adaptersSavedBy } from "./lora-layer.js";

/** A module of which adapters have trained copies of their own (a fresh classifier, say); the original stays as it was. */
export class SavedModule extends nn.Module {
  original_module: nn.Module;
  modules_to_save = new nn.ModuleDict<nn.Module>();
  active: string | null = null;

  constructor(original: nn.Module) {
    super();
    this.original_module = original;
  }

  /** What `models.save` tells the user. */
  get savedBy(): string {
    return adaptersSavedBy;
  }
  /** The module in use. */
  get current(): nn.Module {
    return this.active === null ? this.original_module : this.modules_to_save.at(this.active);
  }

  /** Adds a copy of the original for an adapter. */
  add(name: string): void {
    if (this.modules_to_save.has(name)) throw new GraftError("argument", `addAdapter: there is an adapter "${name}" already. Choose another name.`);
    this.modules_to_save.set(name, this.original_module.clone().requiresGrad(false));
  }

  parametersOf(name: string): nn.Parameter[] {
    return this.modules_to_save.has(name) ? this.modules_to_save.at(name).parameters() : [];
  }

  remove(name: string): void {
    if (this.active === name) this.active = null;
    this.modules_to_save.delete(name);
  }

  forward(...inputs: never[]): unknown {
    return this.current.forward(...inputs);
  }
}
