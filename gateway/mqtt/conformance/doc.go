// Package conformance holds the MQTT listener against the standard, statement by statement: black-box
// tests over a socket against a gateway that runs in the same process, with a client that writes and
// reads bytes of its own making, so that a mistake of the codec cannot hide on both sides.
//
// statements_test.go lists the normative statements of MQTT 5. A test names those that it checks in
// brackets, as in [MQTT-3.1.2-5], and docs/mqtt-conformance.md is made from both; a statement that binds
// a server and has no test fails the build. Statements of 3.1.1 have "3.1.1" before the bracket.
package conformance
