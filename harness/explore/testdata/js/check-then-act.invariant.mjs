// No seat has two holders.
import { broken, stored } from "./invariant.mjs";

for (const [key, holders] of Object.entries(stored())) {
  if (key.startsWith("seat:") && holders.length > 1) broken(`${key.replace(":", " ")} is taken by ${holders.join(" and by ")}`);
}
