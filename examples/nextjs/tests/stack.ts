import { startStack } from "inngest-harness";

/** Next.js runs one development server for a directory, so all tests share one stack. */
export default async function setup() {
  const stack = await startStack({
    command: ["node", "node_modules/next/dist/bin/next", "dev", "--hostname", "127.0.0.1"],
    inngest: "sim",
  });
  process.env.HARNESS_STACK = stack.dir; // the fixtures use it
  return () => stack.stop();
}
