"use strict";
// Made by scripts/api.mjs from the OpenAPI document of the harness. Do not edit.
Object.defineProperty(exports, "__esModule", { value: true });
