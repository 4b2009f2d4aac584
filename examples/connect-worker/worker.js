const { connect } = require("inngest/connect");
const { inngest } = require("./client");
const { welcome } = require("./functions/welcome");

// The worker dials out to Inngest, so nothing has to reach it. It ends gracefully on SIGINT and SIGTERM.
connect({ apps: [{ client: inngest, functions: [welcome] }] }).then(() => console.log("connected"));
