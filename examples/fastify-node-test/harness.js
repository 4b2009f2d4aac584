const { harnessTest } = require("inngest-harness/node-test");

exports.test = harnessTest({ command: ["node", "server.js"], inngest: "sim" });
