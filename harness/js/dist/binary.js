"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.binary = binary;
const node_fs_1 = require("node:fs");
const errors_js_1 = require("./errors.js");
/** @internal Returns the path of the harness's binary: that of HARNESS_BIN, else that of the package for this platform. */
function binary() {
    const given = process.env['HARNESS_BIN'];
    if (given) {
        if (!(0, node_fs_1.existsSync)(given)) {
            throw new errors_js_1.HarnessError(`HARNESS_BIN is ${given}, and there is no such file`, 'no-binary');
        }
        return given;
    }
    const platform = `${process.platform}-${process.arch}`;
    const name = `@inngest-harness/${platform}`;
    try {
        return require.resolve(`${name}/bin/harness${process.platform === 'win32' ? '.exe' : ''}`);
    }
    catch {
        throw new errors_js_1.HarnessError(`there is no binary of the harness for ${platform}: the package ${name} is not installed. ` +
            'npm installs it beside inngest-harness, unless it was run with --omit=optional, on another platform, or with a ' +
            'lock file from another platform: run `npm install` here. Or name a binary in HARNESS_BIN.', 'no-binary');
    }
}
