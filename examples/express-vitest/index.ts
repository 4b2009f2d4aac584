import express from "express";
import { serve } from "inngest/express";
import { port } from "./config.ts";
import { createRequest, showRequest } from "./controllers/requests.ts";
import { client } from "./db.ts";
import { functions, inngest } from "./inngest/index.ts";

await client.connect();

const app = express();
app.use(express.json({ limit: "4mb" }));
app.use("/api/inngest", serve({ client: inngest, functions }));
app.post("/api/requests", createRequest);
app.get("/requests/:id", showRequest);

const server = app.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}`));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => server.close(() => void client.close()));
}
