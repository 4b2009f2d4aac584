// Each code that was sent is the one that was stored.
import { broken, stored } from "./invariant.mjs";

for (const [key, code] of Object.entries(stored())) {
  const [kind, order] = key.split(":");
  if (kind === "sent" && stored()[`issued:${order}`] !== code) broken(`the customer of order ${order} has the voucher ${code}, which is not valid`);
}
