"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.VerdictError = exports.HarnessError = exports.InjectedFault = exports.connectStack = exports.startStack = exports.Stack = void 0;
/** Tests of Inngest apps: a stack of servers, the app on it, and verdicts on what follows from an event. */
var stack_js_1 = require("./stack.js");
Object.defineProperty(exports, "Stack", { enumerable: true, get: function () { return stack_js_1.Stack; } });
Object.defineProperty(exports, "startStack", { enumerable: true, get: function () { return stack_js_1.startStack; } });
Object.defineProperty(exports, "connectStack", { enumerable: true, get: function () { return stack_js_1.connectStack; } });
Object.defineProperty(exports, "InjectedFault", { enumerable: true, get: function () { return stack_js_1.InjectedFault; } });
var errors_js_1 = require("./errors.js");
Object.defineProperty(exports, "HarnessError", { enumerable: true, get: function () { return errors_js_1.HarnessError; } });
Object.defineProperty(exports, "VerdictError", { enumerable: true, get: function () { return errors_js_1.VerdictError; } });
