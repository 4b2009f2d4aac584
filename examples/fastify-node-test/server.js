const fastify = require("fastify");
const { fastifyPlugin } = require("inngest/fastify");
const { inngest } = require("./client");
const { confirmOrder } = require("./functions/confirm-order");
const { dailyReport } = require("./functions/daily-report");

const app = fastify();
app.register(fastifyPlugin, { client: inngest, functions: [confirmOrder, dailyReport], options: {} });
app.listen({ host: "127.0.0.1", port: Number(process.env.PORT ?? 3000) });

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => app.close());
