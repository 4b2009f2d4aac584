const { Inngest } = require("inngest");

exports.inngest = new Inngest({ id: "onboarding" });
