// What invariants share: they read the store of the app, and end with 1 if it is not as it must be.
import fs from "node:fs";
import path from "node:path";

export function stored() {
  const file = path.join(process.env.HARNESS_SCRATCH, "store.json");
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {};
}

export function broken(why) {
  console.error(why);
  process.exitCode = 1;
}
