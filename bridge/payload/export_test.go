package payload

// DeviceOf is here for the test that compares it with the bridge's.
var DeviceOf = deviceOf
