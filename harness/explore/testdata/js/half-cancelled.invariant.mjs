// Each order that was reserved has been sold, or released.
import { broken, stored } from "./invariant.mjs";

for (const [key, state] of Object.entries(stored())) {
  if (key.startsWith("stock:") && state === "reserved") broken(`${key.replace(":", " ")} stays reserved`);
}
