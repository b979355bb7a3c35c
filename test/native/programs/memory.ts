// The sum of a product of two matrices; the product takes 4 MiB.
import { GraftError, rand } from "graftml";

const x = rand([1024, 8]);
try {
  await x.matmul(x.transpose()).sum().data();
  console.log("it fitted");
} catch (error) {
  console.log(error instanceof GraftError ? `${error.code}: ${error.message}` : error);
}
