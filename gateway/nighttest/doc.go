// Package nighttest runs the gateway whole, as its users do, through the nights that it is built
// for: the cloud is stopped, the line goes dead, the power fails. It holds tests and their helpers
// alone: the built binary is driven through its command line, files and HTTP interface, between a
// foreign PLC and a foreign cloud, and what the cloud recorded is compared with the delivery
// contract, message by message.
//
// The tests take their shape from the environment:
//
//	SLUICE_LONG=1           the full figures in place of the short form: give go test -timeout 30m
//	SLUICE_REQUIRE_PEERS=1  a missing peer or right is a failure in place of a skip
//	SLUICE_BINARY=FILE      the binary to test, in place of building cmd/sluice
package nighttest
