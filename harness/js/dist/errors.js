"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.VerdictError = exports.HarnessError = void 0;
exports.callSite = callSite;
/** An error of the harness. Its message says what is wrong, and what to do. */
class HarnessError extends Error {
    code;
    name = 'HarnessError';
    constructor(message, code) {
        super(message);
        this.code = code;
    }
}
exports.HarnessError = HarnessError;
/** The error of an expectation that does not hold. Its message is the text of the verdict. */
class VerdictError extends Error {
    name = 'VerdictError';
    constructor(text, verdict) {
        super(text);
        // Not enumerable: runners print every enumerable field below the message.
        Object.defineProperty(this, 'verdict', { value: verdict });
    }
}
exports.VerdictError = VerdictError;
/** @internal Returns a function that makes an error point at the line of the test that called this package. */
function callSite() {
    const frames = new Error().stack?.split('\n').slice(1) ?? [];
    const outside = frames.filter((frame) => !frame.includes(__dirname));
    return (error) => {
        if (error instanceof Error && outside.length > 0)
            error.stack = [`${error.name}: ${error.message}`, ...outside].join('\n');
        return error;
    };
}
