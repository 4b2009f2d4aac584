package httpapi

// Hash is the hash of a style in a content security policy.
var Hash = hash
